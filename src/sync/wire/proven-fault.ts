import { Malformed } from './errors.ts'

/**
 * A peer sent bytes over its authenticated stream that no honest replica sends. This error is made on this
 * side only. A `Malformed` that a peer answers is its claim about us, and proves nothing.
 */
export class ProvenFault extends Malformed {}
