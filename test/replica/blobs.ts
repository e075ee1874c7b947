import { createCipheriv } from 'node:crypto'
import type { Installation, Snapshot, StateMachine } from '../../src/machine/machine.ts'

/** An item that is to be made: which one, and how many bytes it has. */
export type Blob = readonly [seed: number, bytes: number]

/** Bytes that do not compress, the same for the same blob. */
export function bytesOf([seed, bytes]: Blob): Uint8Array {
  const key = Buffer.alloc(16)
  key.writeUInt32BE(seed)
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(bytes))
}

/** A state machine whose items can be larger than any entry of the log: a command only names them. */
export class Blobs implements StateMachine<number> {
  readonly signature = 'blobs/1'
  items: Uint8Array[] = []

  apply(command: Uint8Array): number {
    const blobs = JSON.parse(Buffer.from(command).toString()) as Blob[]
    this.items = [...this.items, ...blobs.map(bytesOf)]
    return this.items.length
  }

  capture(): Snapshot {
    const items = [...this.items]
    return { size: items.length, items: () => items, release() {} }
  }

  install(): Installation {
    const items: Uint8Array[] = []
    return {
      add: (run) => {
        for (const item of run) items.push(Uint8Array.from(item))
      },
      commit: () => {
        this.items = items
      },
    }
  }
}

export const making = (blobs: readonly Blob[]): Uint8Array => Buffer.from(JSON.stringify(blobs))
