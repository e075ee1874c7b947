import { type Position, positionKey } from '../../position.ts'
import type { ByteStream } from '../wire/frames.ts'

interface Sending {
  readonly bytes: number
  readonly stream: ByteStream
}

interface Served {
  done: number
  readonly sending: Set<Sending>
}

/**
 * Counts the chunk bytes that were sent of each anchor. A chunk that a slow link is still taking counts as
 * far as the link has taken it.
 */
export class ServedBytes {
  readonly #anchors = new Map<string, Served>()

  /** A chunk goes to a stream. Returns what to call when the stream has taken it, or broke. */
  begin(anchor: Position, bytes: number, stream: ByteStream): (options: { readonly taken: boolean }) => void {
    const key = positionKey(anchor)
    const served = this.#anchors.get(key) ?? { done: 0, sending: new Set() }
    this.#anchors.set(key, served)
    const sending = { bytes, stream }
    served.sending.add(sending)
    return ({ taken }) => {
      served.sending.delete(sending)
      if (taken) served.done += bytes
    }
  }

  of(anchor: Position): number {
    const served = this.#anchors.get(positionKey(anchor))
    if (served === undefined) return 0
    let bytes = served.done
    for (const one of served.sending) bytes += Math.max(0, one.bytes - one.stream.unsentBytes)
    return bytes
  }

  /** The anchor is not offered any more. */
  forget(anchor: Position): void {
    this.#anchors.delete(positionKey(anchor))
  }
}
