import { Malformed } from './errors.ts'

/**
 * A peer sent something, over its authenticated stream, that no honest replica sends. This error is made on
 * this side only: a `Malformed` that a peer answers is what it says of us, and proves nothing.
 */
export class ProvenFault extends Malformed {}
