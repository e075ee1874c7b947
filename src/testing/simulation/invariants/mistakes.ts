import { type Invariant, PromiseBroken } from '../invariant.ts'
import type { Running, SimulatedNode, Told } from '../node.ts'
import type { Step } from '../plan.ts'
import type { Scene } from '../scene.ts'

/** What a replica tells of a mistake, and what an operator must have done for it. */
const TOLD: Readonly<Record<string, Step['do']>> = {
  LogRewound: 'rewind',
  EpochChanged: 'recreate',
  DirectoryOfAnotherLog: 'recreate',
  IdentityInUse: 'copy-disk',
}

/**
 * A replica that was ahead of a log that was put back, or that followed one that was made anew, does not go
 * on, nor do two processes with one identity. Nobody tells of a mistake that was not made.
 */
export class MistakesAreTold implements Invariant {
  readonly #scene: Scene
  readonly #made: ReadonlySet<Step['do']>
  #rewinds = 0
  /** Processes that had applied more than was left of the log. */
  readonly #ahead = new Set<Running>()
  readonly #failed = new Set<Running>()

  constructor(scene: Scene) {
    this.#scene = scene
    this.#made = new Set(scene.plan.steps.map((step) => step.do))
  }

  told({ name }: SimulatedNode, { type, detail }: Told): void {
    if (type === 'state' && detail.state === 'halted') this.#check(name, detail.reason)
    else if (type === 'problem') this.#check(name, detail)
  }

  stepped(): void {
    const { log, nodes } = this.#scene
    for (const node of nodes) {
      const running = node.newest
      if (running?.failure === undefined || this.#failed.has(running)) continue
      this.#failed.add(running)
      this.#check(running.life.name, running.failure)
    }
    if (this.#rewinds === log.record.rewinds.length) return
    this.#rewinds = log.record.rewinds.length
    const newest = log.record.entries.length
    for (const { running } of nodes)
      if (running?.replica !== undefined && running.replica.position.index > newest) this.#ahead.add(running)
  }

  settled(): void {
    const { nodes, log } = this.#scene
    const ids = new Map<string, string>()
    for (const { running } of nodes) {
      const { replica, life } = running ?? {}
      if (running?.isStopping !== false || replica === undefined || life === undefined) continue
      if (replica.state === 'halted') continue
      if (replica.position.epoch !== log.epoch)
        throw broken(
          `${life.name} is ${replica.state} with the log ${replica.position.epoch}, not ${log.epoch}`,
        )
      if (this.#ahead.has(running))
        throw broken(`${life.name} is ${replica.state}, and was ahead of the log when that was put back`)
      const other = ids.get(replica.id)
      if (other !== undefined) throw broken(`${life.name} and ${other} have one identity, and both go on`)
      ids.set(replica.id, life.name)
    }
  }

  #check(name: string, error: Error | undefined): void {
    const mistake = TOLD[error?.name ?? '']
    if (mistake !== undefined && !this.#made.has(mistake))
      throw broken(`${name} tells of ${error?.name}, and no step was a ${mistake}`)
  }
}

function broken(message: string): PromiseBroken {
  return new PromiseBroken('a mistake is told, not obeyed', message)
}
