import { raceSignal } from 'race-signal'
import { ANSWER_BYTES_MAX } from '../../bounds.ts'
import { asError } from '../../thrown.ts'
import { type Clock, Deadline } from '../../time/clock.ts'
import type { SyncHost } from '../host.ts'
import { BUSY_RETRY_MS } from '../limits.ts'
import { Busy, Failed, WireError } from '../wire/errors.ts'
import type { RequestBody, ResponseBody } from '../wire/messages.ts'

export interface QuestionsInit {
  readonly host: SyncHost
  readonly clock: Clock
  /** How long the host may take for an answer, in milliseconds. */
  readonly waitMs: number
}

/** What is asked of the host, and not of a snapshot. */
export type Question = Extract<RequestBody, { type: 'query' | 'status' | 'order' }>

export function isQuestion(body: RequestBody): body is Question {
  return body.type === 'query' || body.type === 'status' || body.type === 'order'
}

export interface Told {
  readonly body: ResponseBody
  readonly payload?: Uint8Array | undefined
}

/** Has the host answer questions about its state and itself, and take orders. Nothing is captured for one. */
export class Questions {
  readonly #init: QuestionsInit

  constructor(init: QuestionsInit) {
    this.#init = init
  }

  /** Rejects with `Busy` when an answer takes too long. */
  async answer(question: Question): Promise<Told> {
    const { host } = this.#init
    switch (question.type) {
      case 'query':
        return await this.#inTime(async (signal) => {
          if (host.query === undefined) throw new Failed('this replica answers no questions')
          const { bytes, index } = await host.query(question.question, signal)
          return { body: { type: 'answer', found: bytes !== undefined, index }, payload: bytes }
        })
      case 'status':
        return await this.#inTime(async (signal) => {
          if (host.status === undefined) throw new Failed('this replica tells nothing of itself')
          const report = JSON.stringify(await host.status(signal), inHex)
          return { body: { type: 'status' }, payload: Buffer.from(report) }
        })
      case 'order':
        if (host.order === undefined) throw new Failed('this replica takes no orders')
        return { body: { type: 'done', index: await host.order(question.order) } }
      default:
        return question satisfies never
    }
  }

  async #inTime(work: (signal: AbortSignal) => Promise<Told>): Promise<Told> {
    const { clock, waitMs } = this.#init
    using late = new Deadline(clock, waitMs)
    try {
      const told = await raceSignal(work(late.signal), late.signal)
      const bytes = told.payload?.length ?? 0
      if (bytes <= ANSWER_BYTES_MAX) return told
      throw new Failed(`the answer has ${bytes} bytes, and ${ANSWER_BYTES_MAX} at most can be sent`)
    } catch (error) {
      if (error instanceof WireError || !late.signal.aborted) throw error
      const why = `this replica has not answered within ${waitMs} ms: it may lag behind what is written`
      throw new Busy(`${why} (${asError(error).message})`, BUSY_RETRY_MS)
    }
  }
}

/** Bytes in a report. */
function inHex(this: unknown, key: string, value: unknown): unknown {
  const given = (this as Readonly<Record<string, unknown>>)[key]
  return given instanceof Uint8Array ? Buffer.from(given).toString('hex') : value
}
