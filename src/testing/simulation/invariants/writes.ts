import type { Written } from '../../../machine/machine.ts'
import { type Invariant, PromiseBroken } from '../invariant.ts'
import type { RecordedEntry } from '../log.ts'
import type { Scene } from '../scene.ts'

/** Each write whose writer was told of it is in the log, at that place, and no write is there twice. */
export class Writes implements Invariant {
  readonly #scene: Scene
  /** How often each command of each author was committed. */
  readonly #committed = new Map<string, number>()

  constructor(scene: Scene) {
    this.#scene = scene
  }

  committed(entry: RecordedEntry): void {
    if (entry.kind !== 'command') return
    const key = `${entry.life}/${Buffer.from(entry.payload).toString('latin1')}`
    const count = (this.#committed.get(key) ?? 0) + 1
    this.#committed.set(key, count)
    const submitted = this.#scene.lives.get(entry.life)?.submitted
    if (submitted === undefined) return
    const asked = submitted.filter((command) => Buffer.compare(command, entry.payload) === 0).length
    if (count > asked)
      throw this.#broken(
        `${entry.life} submitted a command ${asked} times, and entry ${entry.index} is number ${count} of it`,
      )
  }

  settled(): void {
    const { requests, history, log } = this.#scene
    for (const { what, life, answer } of requests.all) {
      if (!what.startsWith('write') || answer === undefined || answer.error !== undefined) continue
      const { position, result } = answer.value as Written<unknown>
      // What was lost with an older log was lost with all of it.
      if (position.epoch !== log.epoch) continue
      const entry = log.record.entries[position.index - 1]
      if (entry === undefined) {
        if (log.record.rewinds.length > 0) continue
        throw this.#broken(
          `${life.name} was told that ${what} is entry ${position.index}, which is not there`,
        )
      }
      if (entry.life !== life.name || entry.kind !== 'command') {
        if (log.record.rewinds.length > 0) continue
        throw this.#broken(
          `${life.name} was told that ${what} is entry ${position.index}, which is of ${entry.life}`,
        )
      }
      const expected = history.resultAt(position.index)
      if (result !== undefined && JSON.stringify(result) !== JSON.stringify(expected))
        throw this.#broken(
          `${life.name} was told ${JSON.stringify(result)} of ${what}, which gave ${JSON.stringify(expected)} at ${position.index}`,
        )
    }
  }

  #broken(message: string): PromiseBroken {
    return new PromiseBroken('acknowledged writes are there once', message)
  }
}
