import type { Chance } from '../chance.ts'
import { type Invariant, PromiseBroken } from '../invariant.ts'
import type { Running, SimulatedNode, Told } from '../node.ts'
import type { Scene } from '../scene.ts'

/** A machine of up to so many items is compared after every entry, and a larger one that much more rarely. */
const ITEMS_ALWAYS = 32

/**
 * Whoever can be read has the state, and the machine time, that the log gives at its position. After the log
 * was put back, a replica may have those of the log before, until it has heard of it.
 */
export class StateOfTheLog implements Invariant {
  readonly #scene: Scene
  readonly #chance: Chance
  /** The position at which each process was looked at last. */
  readonly #seen = new WeakMap<Running, number>()
  /** Processes that have installed a snapshot, and were not compared since. */
  readonly #installed = new WeakSet<Running>()

  constructor(scene: Scene) {
    this.#scene = scene
    this.#chance = scene.world.chance('state of the log')
  }

  told({ running }: SimulatedNode, { type, detail }: Told): void {
    const isInstall =
      (type === 'sync' && detail.type === 'session' && detail.state.status === 'done') ||
      (type === 'checkpoint' && detail.type === 'loaded')
    if (isInstall && running !== undefined) this.#installed.add(running)
  }

  stepped(): void {
    for (const { running } of this.#scene.nodes) {
      const position = running?.replica?.position.index
      if (running === undefined || position === undefined || this.#seen.get(running) === position) continue
      this.#seen.set(running, position)
      this.#look(running, false)
    }
  }

  settled(): void {
    for (const { running } of this.#scene.nodes)
      if (running !== undefined && !running.isStopping) this.#look(running, true)
  }

  #look(running: Running, always: boolean): void {
    const { life, machine, replica } = running
    if (replica === undefined) return
    try {
      replica.assertReadable()
    } catch {
      return
    }
    const { history } = this.#scene
    const { position } = replica
    const { index, epoch } = position
    const mayBeDropped = !always || replica.state === 'halted'
    const timeMs = history.timeMsAt(index, epoch)
    const wasThen = mayBeDropped && history.wasTimeAt(position, replica.timeMs)
    if (replica.timeMs !== timeMs && !wasThen)
      throw new PromiseBroken(
        'any clock',
        `machine time of ${life.name} at ${index} is ${replica.timeMs}, not ${timeMs}`,
      )
    const isDue = always || this.#installed.has(running)
    if (!isDue && this.#chance.next() * history.sizeOf(machine) > ITEMS_ALWAYS) return
    this.#installed.delete(running)
    const verdict = history.check(machine, position)
    if (verdict !== 'right' && !(wasThen && verdict === 'dropped'))
      throw new PromiseBroken(
        'one anchor, one content',
        `${life.name} at ${index} does not have what the log gives there: ${history.explain(machine, position)}`,
      )
  }
}
