import type { Position } from '../../position.ts'
import { asError } from '../../thrown.ts'
import type { Life } from './life.ts'
import type { World } from './world.ts'

/** Something that was asked of a replica. */
export interface Request {
  /** What was asked: `write 17`, `barrier`. */
  readonly what: string
  readonly life: Life
  readonly askedAtMs: number
  /** Undefined while it is not answered. */
  answer?: { readonly atMs: number; readonly value: unknown; readonly error?: Error }
}

/** What came of a barrier. */
export interface Passed {
  /** The newest entry when it was asked for. */
  readonly newest: number
  /** Where the replica was when it was answered. */
  readonly position: Position
}

/** Everything that was asked of the replicas, and what they answered. */
export class Requests {
  readonly #world: World
  /** In the order in which they were asked. */
  readonly all: Request[] = []

  constructor(world: World) {
    this.#world = world
  }

  /** Those that are not answered, of processes that live. */
  get open(): Request[] {
    return this.all.filter(({ answer, life }) => answer === undefined && life.isAlive)
  }

  /** Ask something of a replica, and take note of the answer. */
  ask(life: Life, what: string, work: () => Promise<unknown>): Request {
    const request: Request = { what, life, askedAtMs: this.#world.nowMs }
    this.all.push(request)
    const answered = (value: unknown, error?: Error) => {
      request.answer = { atMs: this.#world.nowMs, value, ...(error && { error }) }
      this.#world.note(life.name, `${what}: ${error === undefined ? 'done' : error.name}`)
    }
    Promise.try(work).then(
      (value) => answered(value),
      (error) => answered(undefined, asError(error)),
    )
    return request
  }
}
