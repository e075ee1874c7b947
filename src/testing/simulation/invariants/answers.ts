import { type Invariant, PromiseBroken } from '../invariant.ts'
import type { SimulatedNode, Told } from '../node.ts'
import type { Step } from '../plan.ts'
import type { Request } from '../requests.ts'
import type { Scene } from '../scene.ts'

/** How often requests that wait are looked at, in milliseconds of virtual time. */
const LOOK_MS = 1_000
/** How much longer than its request timeout a replica may take for an answer, in milliseconds. */
const SLACK_MS = 5_000
/** Steps that keep nobody from an answer. */
const HARMLESS: readonly Step['do'][] = ['write', 'mark', 'barrier', 'prune', 'step-wall', 'join', 'rot']

/** Whatever is asked of a replica is answered, and whatever goes wrong has a code by which it can be told. */
export class Answers implements Invariant {
  readonly #scene: Scene
  /** How long a request may wait; for ever while there is trouble. */
  readonly #waitMsMax: number
  /** All requests before this one are answered, and looked at. */
  #next = 0
  #lookedMs = 0

  constructor(scene: Scene) {
    this.#scene = scene
    const { settings, steps } = scene.plan
    const isCalm = steps.every((step) => HARMLESS.includes(step.do))
    this.#waitMsMax = isCalm ? settings.requestTimeoutMs + SLACK_MS : Number.POSITIVE_INFINITY
  }

  told({ name }: SimulatedNode, { type, detail }: Told): void {
    const error = type === 'problem' ? detail : type === 'state' ? detail.reason : undefined
    if (error !== undefined && !isTyped(error)) throw broken(`${name} tells of ${describe(error)}`)
  }

  stepped(): void {
    const { nowMs } = this.#scene.world
    if (nowMs - this.#lookedMs < LOOK_MS) return
    this.#lookedMs = nowMs
    const { all } = this.#scene.requests
    while (this.#next < all.length && this.#isOver(all[this.#next]!)) this.#next++
    const oldest = all[this.#next]
    if (oldest !== undefined && nowMs - oldest.askedAtMs > this.#waitMsMax)
      throw broken(`${oldest.life.name} owes an answer to ${oldest.what} for ${nowMs - oldest.askedAtMs} ms`)
  }

  ended(): void {
    const { requests, lives } = this.#scene
    for (const request of requests.all) this.#isOver(request)
    const owed = requests.open.find(({ life }) => lives.get(life.name)?.isStopped)
    if (owed !== undefined) throw broken(`${owed.life.name} was stopped and owes an answer to ${owed.what}`)
  }

  /** It was answered, or never will be. */
  #isOver({ answer, life, what }: Request): boolean {
    if (answer?.error !== undefined && !isTyped(answer.error))
      throw broken(`${life.name} answers ${what} with ${describe(answer.error)}`)
    return answer !== undefined || !life.isAlive
  }
}

/** It has a code, as Anchorage's errors and those of Node.js, or is of a kind that has none. */
function isTyped(error: Error): boolean {
  const { code } = error as { readonly code?: unknown }
  return typeof code === 'string' || ['AbortError', 'TimeoutError', 'RangeError'].includes(error.name)
}

function describe(error: Error): string {
  return `an error without a code, ${error.name}: ${error.message}`
}

function broken(message: string): PromiseBroken {
  return new PromiseBroken('always an answer', message)
}
