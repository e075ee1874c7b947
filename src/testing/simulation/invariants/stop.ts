import { type Invariant, PromiseBroken } from '../invariant.ts'
import type { Scene } from '../scene.ts'

/** A replica that was stopped waits for nothing, and nobody has a stream to it. */
export class Stops implements Invariant {
  readonly #scene: Scene
  /** The log may not take what is said last. */
  readonly #mayBeUnheard: boolean

  constructor(scene: Scene) {
    this.#scene = scene
    this.#mayBeUnheard = scene.plan.troubles.some((trouble) => trouble === 'log' || trouble === 'presences')
  }

  /** Nobody catches up, so nobody asks anybody: the streams of sessions are closed. */
  idle(): void {
    const { nodes, network } = this.#scene
    if (network.openStreams === 0 || nodes.some(({ replica }) => replica?.state === 'catching-up')) return
    throw new PromiseBroken(
      'stop leaves nothing',
      `${network.openStreams} streams are open, and nobody catches up`,
    )
  }

  ended(): void {
    const { nodes, network, log } = this.#scene
    // A leader says that it leads no more; the others are gone.
    for (const [member, { announcement, node }] of log.record.presences)
      if (announcement.state !== 'stopped' && this.#wasStopped(node, member))
        throw new PromiseBroken(
          'stop leaves nothing',
          `${node} was stopped and is announced as ${announcement.state}`,
        )
    for (const { running } of nodes) {
      if (running === undefined || !running.isStopped) continue
      const { name, timers } = running.life
      if (timers > 0)
        throw new PromiseBroken('stop leaves nothing', `${name} was stopped and has ${timers} timers`)
    }
    if (network.openStreams > 0)
      throw new PromiseBroken(
        'stop leaves nothing',
        `${network.openStreams} streams are open after all have stopped`,
      )
  }

  /** Not an earlier replica of that node, whose disk was wiped. */
  #wasStopped(name: string, member: string): boolean {
    if (this.#mayBeUnheard) return false
    const running = this.#scene.nodeNamed(name)?.running
    return running?.isStopped === true && running.replica?.id === member
  }
}
