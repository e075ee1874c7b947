import { decodeControl } from '../../../group/control.ts'
import type { Written } from '../../../machine/machine.ts'
import type { Position } from '../../../position.ts'
import { type Invariant, PromiseBroken } from '../invariant.ts'
import type { RecordedEntry } from '../log.ts'
import type { Passed, Request } from '../requests.ts'
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
    const written = commandIn(entry)
    if (written === undefined) return
    const key = `${entry.life}/${Buffer.from(written).toString('latin1')}`
    const count = (this.#committed.get(key) ?? 0) + 1
    this.#committed.set(key, count)
    const submitted = this.#scene.lives.get(entry.life)?.submitted
    if (submitted === undefined) return
    const asked = submitted.filter((command) => Buffer.compare(command, written) === 0).length
    if (count > asked)
      throw this.#broken(
        `${entry.life} submitted a command ${asked} times, and entry ${entry.index} is number ${count} of it`,
      )
  }

  settled(): void {
    const { requests, log } = this.#scene
    for (const request of requests.all) {
      const { what, answer } = request
      if (answer === undefined || answer.error !== undefined) continue
      if (what.startsWith('write')) this.#checkWrite(request, answer.value as Written<unknown>)
      if (what === 'barrier' && log.record.rewinds.length === 0)
        this.#checkBarrier(request, answer.value as Passed)
    }
  }

  #checkWrite({ what, life }: Request, { position, result, repeated }: Written<unknown>): void {
    const { history, log } = this.#scene
    // What was lost with an older log was lost with all of it.
    if (position.epoch !== log.epoch) return
    const told = `${life.name} was told that ${what} is entry ${position.index}`
    const entry = log.record.entries[position.index - 1]
    // A write that was repeated is told of the first one, which may be another process's.
    const isOwn = repeated || entry?.life === life.name
    const isThere = entry !== undefined && isOwn && commandIn(entry) !== undefined
    if (!isThere && log.record.rewinds.length > 0) return
    // Its process may have written again at the place of a write that was lost.
    if (this.#wasLost(position, life.name)) return
    if (!isThere)
      throw this.#broken(`${told}, which is ${entry === undefined ? 'not there' : `of ${entry.life}`}`)
    const effect = history.effectAt(position.index)
    if (entry.kind === 'control' && effect?.type !== 'met')
      throw this.#broken(`${told}, which was not applied: ${JSON.stringify(effect)}`)
    const expected = JSON.stringify(history.resultAt(position.index))
    if (result !== undefined && JSON.stringify(result) !== expected)
      throw this.#broken(`${told} and gave ${JSON.stringify(result)}, and it gave ${expected}`)
  }

  /** Whether a rewind took a command of this process from there. */
  #wasLost({ index, epoch }: Position, life: string): boolean {
    return this.#scene.log.record.rewinds.some((rewind) => {
      const lost = rewind.epoch === epoch ? rewind.lost[index - rewind.to - 1] : undefined
      return lost?.life === life && commandIn(lost) !== undefined
    })
  }

  /** What others wrote before can be read behind it. */
  #checkBarrier({ life }: Request, { newest, position }: Passed): void {
    if (position.epoch !== this.#scene.log.epoch || position.index >= newest) return
    throw this.#broken(
      `${life.name} passed a barrier at ${position.index}, and the log had come to ${newest} before`,
    )
  }

  #broken(message: string): PromiseBroken {
    return new PromiseBroken('acknowledged writes are there once', message)
  }
}

/** What a write asks of the machine, perhaps under conditions. Undefined for any other entry. */
function commandIn({ kind, payload }: RecordedEntry): Uint8Array | undefined {
  if (kind === 'command') return payload
  const control = decodeControl(payload)
  return control?.type === 'guarded' ? control.command : undefined
}
