import { randomBytes } from 'node:crypto'
import {
  type CheckpointPolicy,
  createReplica,
  type MapResult,
  memoryLog,
  type Replica,
  ReplicatedMap,
} from '../../../src/index.ts'
import type { Log, NewEntry } from '../../../src/log/index.ts'

const VALUE_CHARACTERS = 100
/** Random text, from which values are cut out. */
const RANDOM = randomBytes(3 * 1024 * 1024).toString('base64')
const GROUP = 'bench'
const KEY_DIGITS = 8
export const BATCH_ENTRIES = 1_000

/** What was applied in a span of time. */
export interface Applied {
  entries: number
  tookMs: number
}

/** One replica with a data directory and a large map, whose entries come straight from the log. */
export class Subject implements AsyncDisposable {
  readonly replica: Replica<MapResult>
  readonly #machine: ReplicatedMap<string, string>
  readonly #log: Log

  private constructor(replica: Replica<MapResult>, machine: ReplicatedMap<string, string>, log: Log) {
    this.replica = replica
    this.#machine = machine
    this.#log = log
  }

  /** In sync, and with the keys from 0 up to `items`. */
  static async start(dataDir: string, items: number, policy: CheckpointPolicy): Promise<Subject> {
    const machine = new ReplicatedMap<string, string>()
    const backend = memoryLog()
    const log = await backend.open({ group: GROUP, signature: machine.signature, author: 'writer' })
    const replica = await createReplica({ group: GROUP, log: backend, dataDir, checkpoint: policy, machine })
    await replica.inSync()
    replica.addEventListener('checkpoint', ({ detail }) => {
      if (detail.type === 'written') void log.prune(detail.position.index)
    })
    const subject = new Subject(replica, machine, log)
    await subject.setFrom(0, items)
    return subject
  }

  /** Set keys to new values, and wait until that is applied. */
  async set(keys: readonly number[]): Promise<Applied> {
    const entries = keys.map((key): NewEntry => {
      const at = Math.floor(Math.random() * (RANDOM.length - VALUE_CHARACTERS))
      const value = RANDOM.slice(at, at + VALUE_CHARACTERS)
      // In the order of their numbers: neighbours are neighbours in the snapshot.
      const name = `key-${String(key).padStart(KEY_DIGITS, '0')}`
      return { kind: 'command', payload: this.#machine.commands.set(name, value) }
    })
    const { first } = await this.#log.append(entries)
    const beganMs = performance.now()
    await this.replica.reached({ epoch: this.#log.epoch, index: first + entries.length - 1 })
    return { entries: entries.length, tookMs: performance.now() - beganMs }
  }

  /** Set `count` keys that follow one another. */
  async setFrom(first: number, count: number): Promise<void> {
    for (let from = 0; from < count; from += BATCH_ENTRIES) {
      const length = Math.min(BATCH_ENTRIES, count - from)
      await this.set(Array.from({ length }, (_, n) => first + from + n))
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.replica.stop()
  }
}
