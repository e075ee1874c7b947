import {
  CHUNK_BYTES_MAX,
  CHUNK_BYTES_MIN,
  CLOCK_METHODS,
  checkAmount,
  checkFunction,
  checkInteger,
  checkMethods,
  checkMs,
  checkText,
  GROUP_BYTES_MAX,
  SIGNATURE_BYTES_MAX,
} from '../bounds.ts'
import { LEASE_MS_MAX, LEASE_MS_MIN } from '../group/lease-bounds.ts'
import { Versions } from '../group/versions.ts'
import { providerLimits, syncTimes } from '../sync/limits.ts'
import type { CheckpointPolicy } from './disk/checkpointer.ts'
import type { ReplicaInit } from './init.ts'
import { isComponentLogger } from './logging/component-logger.ts'
import type { PrunePolicy } from './membership/pruner.ts'
import type { UpgradePolicy } from './membership/upgrader.ts'
import { checkAddresses } from './node/multiaddrs.ts'
import { networkKeysIn } from './node/network-key.ts'

/** The options that `checkOptions` examines. The machine's results do not matter to it. */
export type CheckedOptions = Omit<ReplicaInit<unknown>, 'machine'> & {
  readonly machine: { readonly signature: string; readonly older?: readonly string[] }
}

/**
 * Throws `RangeError` for an option with which a replica could not work, or with which another could not join
 * it. Nothing has been opened by then.
 */
export function checkOptions(init: CheckedOptions): void {
  const { group, machine, dataDir, leaseMs, chunkBytes, snapshotAfter, networkKey } = init
  checkText('group', group, GROUP_BYTES_MAX)
  checkText("the machine's signature", machine.signature, SIGNATURE_BYTES_MAX)
  new Versions(machine)
  if (dataDir !== undefined && (typeof dataDir !== 'string' || dataDir === '')) {
    throw new RangeError('dataDir is not the path of a directory; give one, or leave it out')
  }
  if (leaseMs !== undefined) checkMs('leaseMs', leaseMs, LEASE_MS_MIN, LEASE_MS_MAX)
  syncTimes(init)
  providerLimits(init.limits)
  if (chunkBytes !== undefined) checkInteger('chunkBytes', chunkBytes, CHUNK_BYTES_MIN, CHUNK_BYTES_MAX)
  if (snapshotAfter !== undefined) checkAmount('snapshotAfter', snapshotAfter, 0)
  if (networkKey !== undefined) networkKeysIn(networkKey)
  const { clock, authorize, random, logger } = init
  if (clock !== undefined) checkMethods('clock', clock, CLOCK_METHODS)
  for (const [name, callback] of Object.entries({ authorize, random })) {
    if (callback !== undefined) checkFunction(name, callback)
  }
  if (logger !== undefined && logger !== false && !isComponentLogger(logger))
    checkMethods('logger', logger, ['warn'])
  checkAddresses(init)
  checkCheckpoint(init.checkpoint ?? {})
  checkPrune(init.prune ?? {})
  checkUpgrade(init.upgrade ?? 'auto')
}

function checkUpgrade(policy: UpgradePolicy): void {
  if (policy === 'auto' || policy === 'manual') return
  if (typeof policy !== 'object') {
    throw new RangeError(`upgrade is 'auto', 'manual' or { afterMs }, and not ${String(policy)}`)
  }
  checkMs('upgrade.afterMs', policy.afterMs, 0)
}

function checkCheckpoint({ everyCommands, everyBytes, everyMs, keep }: CheckpointPolicy): void {
  for (const [name, amount] of Object.entries({ everyCommands, everyBytes, everyMs })) {
    if (amount !== undefined) checkAmount(`checkpoint.${name}`, amount, 1)
  }
  if (keep !== undefined) checkInteger('checkpoint.keep', keep, 1)
}

function checkPrune({ keepEntries, intervalMs }: PrunePolicy): void {
  if (keepEntries !== undefined) checkInteger('prune.keepEntries', keepEntries, 0)
  if (intervalMs !== undefined) checkMs('prune.intervalMs', intervalMs, 1)
}
