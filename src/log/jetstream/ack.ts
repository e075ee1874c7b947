import type { Msg } from '@nats-io/transport-node'
import { UNAVAILABLE } from './link.ts'

/** A server's answer to a message that was published. */
export interface Ack {
  readonly seq: number
  /** The stream that took the message. */
  readonly stream?: string | undefined
  readonly error?: AckError
}

export interface AckError {
  readonly status: number
  readonly code: number
  readonly description: string
}

/**
 * Parses a server's answer to a message. An answer that is no acknowledgement gives sequence 0 and no error.
 */
export function parseAck(msg: Msg): Ack {
  const status = msg.headers?.code ?? 0
  if (msg.data.length === 0 && status === UNAVAILABLE) {
    return { seq: 0, error: { status, code: 0, description: 'no stream answers' } }
  }
  try {
    const { seq, stream, error } = msg.json<Partial<AckJson> | null>() ?? {}
    if (error === undefined) return { seq: Number.isSafeInteger(seq) ? seq! : 0, stream }
    const { code, err_code, description } = error
    if (!Number.isInteger(code)) return { seq: 0 }
    return { seq: 0, error: { status: code, code: err_code, description } }
  } catch {
    return { seq: 0 }
  }
}

interface AckJson {
  readonly stream: string
  readonly seq: number
  readonly error: { readonly code: number; readonly err_code: number; readonly description: string }
}
