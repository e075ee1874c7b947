import type { ReplicaState } from '../../../group/announcement.ts'
import { decodeControl, type Upgrade } from '../../../group/control.ts'
import { signatureName } from '../../../group/versions.ts'
import type { ReplicaEvents } from '../../../replica/events.ts'
import { type Invariant, PromiseBroken } from '../invariant.ts'
import type { RecordedEntry, RecordedPresence, RecordedPresences } from '../log.ts'
import { type Running, type SimulatedNode, speaks, type Told } from '../node.ts'
import type { Step } from '../plan.ts'
import type { Scene } from '../scene.ts'

/** After these, a replica may have followed another log than the one that there is. */
const OTHER_LOGS: readonly Step['do'][] = ['rewind', 'recreate']
/** What a replica tells of a state or a command that it did not understand. */
const MISUNDERSTOOD: readonly string[] = ['ApplyFailed', 'InstallFailed']
/**
 * For this part of its time to live a presence is fresh to everybody: wall clocks are half a second apart. It is also
 * the part of its delay that an upgrade has to wait by all clocks.
 */
const FRESH = 0.6
/** How far apart two wall clocks are at most, in milliseconds: each is half a second off. */
const APART_MS = 1_000
/** Who says so is left behind already. */
const BEHIND: readonly ReplicaState[] = ['stopped', 'halted']
/** What a member that announces no format speaks. */
const FIRST_FORMAT = 1

/** What a process has read of the presences, and when. */
interface Reading {
  readonly atMs: number
  readonly presences: RecordedPresences
}

/**
 * A group speaks one version at a time, and goes over to another at one entry. Whoever does not speak it has not
 * applied that entry, and nothing after it. The group goes over by itself only when all members speak the newer
 * version, and have for a while, as far as the leader can know.
 */
export class OneVersion implements Invariant {
  readonly #scene: Scene
  /** The position at which each process was looked at last. */
  readonly #seen = new WeakMap<Running, number>()
  readonly #failed = new WeakSet<Running>()
  /** Of each process, by the name of its life; the newest comes last. */
  readonly #readings = new Map<string, Reading[]>()
  /** Why the leader that appends an upgrade should not have. */
  readonly #hasty = new Map<string, string>()
  readonly #isOther: boolean
  readonly #isMixed: boolean
  /** Clocks that are set make presences seem older than they are. */
  readonly #isStepped: boolean
  readonly #afterMs: number

  constructor(scene: Scene) {
    this.#scene = scene
    const { steps, settings } = scene.plan
    this.#isOther = steps.some((step) => OTHER_LOGS.includes(step.do))
    this.#isMixed = scene.workload.versions !== undefined
    this.#isStepped = steps.some((step) => step.do === 'step-wall')
    this.#afterMs = settings.upgradeAfterMs === 'manual' ? 0 : (settings.upgradeAfterMs ?? 0)
    const { record } = scene.log
    record.onPresencesRead((life, presences) => this.#hasRead(life, presences))
    record.onAppend((life, payload) => this.#appends(life, payload))
  }

  committed({ kind, payload, life, index }: RecordedEntry): void {
    const control = kind === 'control' ? decodeControl(payload) : undefined
    const running = this.#scene.lives.get(life)
    // What hostile members append is theirs.
    if (control?.type !== 'upgrade' || running === undefined) return
    const { format, to } = control
    const what = `entry ${index}: ${life} has the group go over to ${to} in format ${format}`
    if (!speaks(running, { format, signature: to })) throw broken(`${what}, which it does not speak`)
    const why = this.#hasty.get(nameOf(life, payload))
    if (why !== undefined) throw broken(`${what}, though ${why}`)
  }

  told({ name, running }: SimulatedNode, { type, detail }: Told): void {
    if (type === 'upgraded') this.#checkUpgraded(name, detail)
    if (type !== 'state' || detail.state !== 'halted' || running === undefined) return
    const { reason } = detail
    if (this.#isMixed && MISUNDERSTOOD.includes(reason?.name ?? ''))
      throw broken(`${name} halts: ${reason?.message} (${(reason?.cause as Error | undefined)?.message})`)
    if (reason?.name === 'UpgradeRequired') this.#checkRefused(running, reason)
  }

  stepped(): void {
    for (const node of this.#scene.nodes) {
      const { running, newest } = node
      if (newest?.failure?.name === 'LogMismatch' && !this.#failed.has(newest)) {
        this.#failed.add(newest)
        this.#checkRefused(newest, newest.failure)
      }
      const index = running?.replica?.position.index
      if (running === undefined || index === undefined || this.#seen.get(running) === index) continue
      this.#seen.set(running, index)
      this.#look(running, index)
    }
  }

  #look(running: Running, index: number): void {
    if (this.#isOther || index === 0) return
    const { life, replica } = running
    const spoken = this.#scene.history.spokenAt(index, replica!.position.epoch)!
    if (speaks(running, spoken)) return
    const { signature, format, index: since } = spoken
    throw broken(
      `${life.name} has applied ${index}, and does not speak ${signature} in format ${format}, as the group does from ${since} on`,
    )
  }

  #checkUpgraded(name: string, { position, format, from, to }: ReplicaEvents['upgraded']['detail']): void {
    if (this.#isOther) return
    const effect = this.#scene.history.effectAt(position.index, position.epoch)
    const isSame =
      effect?.type === 'upgraded' && effect.format === format && effect.from === from && effect.to === to
    if (isSame) return
    throw broken(
      `${name} goes over from ${from} to ${to} in format ${format} at ${position.index}, which that entry does not say`,
    )
  }

  /** Somebody stops since it does not speak what the group speaks: then there is something that it does not. */
  #checkRefused(running: Running, { message }: Error): void {
    const { versions } = this.#scene.history.group
    if (this.#isOther || versions.some((version) => !speaks(running, version))) return
    throw broken(`${running.life.name} speaks all that the group ever spoke, and stops: ${message}`)
  }

  #hasRead(life: string, presences: RecordedPresences): void {
    const { nowMs } = this.#scene.world
    const readings = this.#readings.get(life) ?? []
    // The last one before the delay holds until the next one, so it is kept.
    while (readings.length > 1 && readings[1]!.atMs < nowMs - this.#afterMs) readings.shift()
    readings.push({ atMs: nowMs, presences })
    this.#readings.set(life, readings)
  }

  /** A process appends an entry now, by what it has read by now. When the log takes it, it may have read more. */
  #appends(life: string, payload: Uint8Array): void {
    const control = decodeControl(payload)
    if (control?.type !== 'upgrade' || this.#isStepped) return
    const afterMs = this.#isAsked(life) ? 0 : this.#afterMs
    const sinceMs = this.#scene.world.nowMs - FRESH * afterMs
    const readings = this.#readings.get(life) ?? []
    const why = readings
      .filter(({ atMs }, i) => atMs > sinceMs || i === readings.length - 1)
      .map((reading) => dissent(control, reading))
      .find((found) => found !== undefined)
    if (why === undefined) this.#hasty.delete(nameOf(life, payload))
    else this.#hasty.set(nameOf(life, payload), why)
  }

  /** An operator had it go over, at once. */
  #isAsked(life: string): boolean {
    return this.#scene.requests.all.some(({ what, life: asked }) => what === 'upgrade' && asked.name === life)
  }
}

/** Who, of the members that were there, does not speak it. */
function dissent({ format, to }: Upgrade, { atMs, presences }: Reading): string | undefined {
  const name = Buffer.from(signatureName(to))
  const isTold = ({ announcement }: RecordedPresence) =>
    (announcement.format ?? FIRST_FORMAT) >= format &&
    // One that announces no versions has no machine, and is left behind by none.
    (announcement.speaks?.some((other) => name.equals(other)) ?? announcement.format !== undefined)
  for (const presence of presences.values()) {
    const isFresh = atMs - presence.atMs < Math.min(presence.ttlMs * FRESH, presence.ttlMs - APART_MS)
    if (!isFresh || BEHIND.includes(presence.announcement.state) || isTold(presence)) continue
    return `${presence.node} does not speak that, which it had read at ${atMs}`
  }
  return undefined
}

function nameOf(life: string, payload: Uint8Array): string {
  return `${life}/${Buffer.from(payload).toString('hex')}`
}

function broken(message: string): PromiseBroken {
  return new PromiseBroken('one version at a time', message)
}
