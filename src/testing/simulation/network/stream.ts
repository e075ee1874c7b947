import { StreamResetError, StreamStateError } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'
import type { ByteStream } from '../../../sync/wire/frames.ts'
import type { Timer } from '../../../time/clock.ts'
import type { Life } from '../life.ts'
import type { Link } from './link.ts'

/** What one side may have sent that the other has not read: the least window of yamux. */
const WINDOW_BYTES = 256 * 1024
/** A sender hears that it may go on when this much was read, as in yamux: one message for many reads. */
const CREDIT_BYTES = WINDOW_BYTES / 2
/**
 * A stream gives no more to its node's port while the last that it gave takes longer than this to leave, in
 * milliseconds. So streams take turns, and small messages go at once.
 */
const AHEAD_MS = 50

export interface EndInit {
  /** Whose side it is. */
  readonly owner: { readonly life: Life }
  /** To the other side. */
  readonly out: Link
}

/** A stream between two lives. */
export class SimulatedStream {
  readonly ends: readonly [StreamEnd, StreamEnd]

  /** @param onOver is called when both sides have ended */
  constructor(from: EndInit, to: EndInit, onOver: (stream: SimulatedStream) => void) {
    const tell = () => {
      if (this.ends.every(({ isOver }) => isOver)) onOver(this)
    }
    this.ends = [new StreamEnd(from, tell), new StreamEnd(to, tell)]
    this.ends[0].face(this.ends[1])
    this.ends[1].face(this.ends[0])
  }

  /** Bytes that were sent and not read. */
  get heldBytes(): number {
    return this.ends[0].heldBytes + this.ends[1].heldBytes
  }

  /** For the trace. */
  toString(): string {
    const [one, other] = this.ends
    return `${one.life.name}>${other.life.name}, ${one.sentBytes} bytes there and ${other.sentBytes} back`
  }
}

/** One side of a stream. What libp2p's streams do, see `byteStream` in libp2p.ts, this does. */
export class StreamEnd implements ByteStream {
  readonly owner: EndInit['owner']
  readonly life: Life
  readonly source: AsyncIterable<Uint8Array>
  readonly #out: Link
  readonly #onOver: () => void
  #other: StreamEnd | undefined
  /** What came over the link, in order, until the process takes it. */
  readonly #inbox: (() => void)[] = []

  readonly #unsent: Uint8Array[] = []
  #unsentBytes = 0
  #sentBytes = 0
  /** What the other side's window has room for. */
  #credit = WINDOW_BYTES
  /** When the last that was sent has left the node. */
  #leftMs = 0
  #pumping: Timer | undefined
  #isClosed = false
  #hasSentEnd = false

  readonly #unread: Uint8Array[] = []
  #readBytes = 0
  #creditedBytes = 0
  #hasEnded = false
  #failure: Error | undefined

  readonly #readable = new Signal()
  readonly #emptied = new Signal()

  constructor({ owner, out }: EndInit, onOver: () => void) {
    this.owner = owner
    this.life = owner.life
    this.#out = out
    this.#onOver = onOver
    this.source = this.#read()
  }

  face(other: StreamEnd): void {
    this.#other = other
  }

  get node(): string {
    return this.#out.from
  }

  get isOver(): boolean {
    return !this.life.isAlive || this.#isDone
  }

  get unsentBytes(): number {
    return this.#unsentBytes
  }

  get sentBytes(): number {
    return this.#sentBytes
  }

  /** Bytes that this side sent and the other has not read. */
  get heldBytes(): number {
    return this.#unsentBytes + this.#sentBytes - this.#other!.#readBytes
  }

  send(bytes: Uint8ArrayList): Promise<void> {
    return this.life.call(() => {
      if (this.#failure !== undefined || this.#isClosed)
        throw new StreamStateError('Cannot write to a stream that is closed')
      // A copy: processes share no memory.
      if (bytes.byteLength > 0) this.#unsent.push(bytes.slice())
      this.#unsentBytes += bytes.byteLength
      this.#pump()
      return this.#whenEmpty()
    })
  }

  flushed(): Promise<void> {
    return this.life.call(() => this.#whenEmpty())
  }

  close(): Promise<void> {
    return this.life.call(() => {
      if (this.#isClosed || this.#isDone) return
      this.#isClosed = true
      this.#pump()
      return this.#whenEmpty()
    })
  }

  abort(reason: Error): void {
    void this.life.call(() => {
      this.#resetOther()
      this.#fail(reason)
    })
  }

  /** Its process has died. This side does nothing any more, and the other hears of it. */
  die(): void {
    this.#resetOther()
    this.#pumping?.cancel()
    this.#onOver()
  }

  /** The connection broke, which both sides notice. */
  break(reason: Error): void {
    this.#post(() => this.#fail(reason))
  }

  /** Nothing can come of this side any more. */
  get #isDone(): boolean {
    return this.#failure !== undefined || (this.#hasSentEnd && this.#hasEnded)
  }

  async *#read(): AsyncGenerator<Uint8Array> {
    for (;;) {
      if (!this.life.isAlive) await new Promise(() => {})
      const next = this.#unread.shift()
      if (next !== undefined) {
        this.#readBytes += next.length
        this.#giveCredit()
        yield next
      } else if (this.#failure !== undefined) throw this.#failure
      else if (this.#hasEnded) return
      else await this.#readable.wait()
    }
  }

  #giveCredit(): void {
    const bytes = this.#readBytes - this.#creditedBytes
    if (bytes < CREDIT_BYTES || this.#isDone) return
    this.#creditedBytes = this.#readBytes
    this.#tell((other) => {
      other.#credit += bytes
      other.#pump()
    })
  }

  /** Send what waits, as far as the window and the port take it. */
  #pump(): void {
    if (this.#pumping !== undefined || this.#isDone) return
    while (this.#unsentBytes > 0 && this.#credit > 0) {
      const waitMs = this.#leftMs - this.life.nowMs
      if (waitMs > AHEAD_MS) {
        this.#pumping = this.life.schedule(waitMs, () => {
          this.#pumping = undefined
          this.#pump()
        })
        return
      }
      this.#sendPiece(this.#takePiece(Math.min(this.#credit, this.#out.pieceBytes)))
    }
    if (this.#unsentBytes > 0) return
    if (this.#isClosed) this.#sendEnd()
    this.#emptied.notify()
  }

  #takePiece(bytesMax: number): Uint8Array {
    const first = this.#unsent[0]!
    if (first.length <= bytesMax) this.#unsent.shift()
    else this.#unsent[0] = first.subarray(bytesMax)
    return first.length <= bytesMax ? first : first.subarray(0, bytesMax)
  }

  #sendPiece(piece: Uint8Array): void {
    this.#unsentBytes -= piece.length
    this.#sentBytes += piece.length
    this.#credit -= piece.length
    this.#leftMs = this.#tell((other) => {
      if (other.#failure !== undefined) return
      other.#unread.push(piece)
      other.#readable.notify()
    }, piece.length)
  }

  #sendEnd(): void {
    if (this.#hasSentEnd) return
    this.#hasSentEnd = true
    this.#tell((other) => {
      other.#hasEnded = true
      other.#readable.notify()
      if (other.#isDone) other.#onOver()
    })
    if (this.#isDone) this.#onOver()
  }

  #resetOther(): void {
    if (!this.#isDone) this.#tell((other) => other.#fail(new StreamResetError('The stream has been reset')))
  }

  #fail(reason: Error): void {
    if (this.#isDone) return
    this.#failure = reason
    this.#unsent.length = 0
    this.#unsentBytes = 0
    this.#pumping?.cancel()
    this.#readable.notify()
    this.#emptied.notify()
    this.#onOver()
  }

  async #whenEmpty(): Promise<void> {
    while (this.#unsentBytes > 0) await this.#emptied.wait()
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Have something reach the other side after all that was sent. Returns when it has left. */
  #tell(deliver: (other: StreamEnd) => void, bytes = 0): number {
    const other = this.#other!
    return this.#out.carry(bytes, () => other.#post(() => deliver(other)), this.life.nowMs)
  }

  /** A process that is paused or busy takes what came later, and in the order in which it came. */
  #post(take: () => void): void {
    if (!this.life.isAlive) return
    this.#inbox.push(take)
    this.life.deliver(() => this.#inbox.shift()?.())
  }
}

/** Wakes all who wait. */
class Signal {
  #waiting: PromiseWithResolvers<void> | undefined

  wait(): Promise<void> {
    this.#waiting ??= Promise.withResolvers()
    return this.#waiting.promise
  }

  notify(): void {
    this.#waiting?.resolve()
    this.#waiting = undefined
  }
}
