import { Malformed } from './errors.ts'

/**
 * Something that a peer itself sent, over its authenticated stream, and that no honest replica sends. Made on this side
 * alone: the `Malformed` that a peer answers is what it says of us.
 */
export class ProvenFault extends Malformed {}
