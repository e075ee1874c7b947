/**
 * The wire: what two replicas say to each other, and over which streams. Both wings stand on it, and it knows
 * neither.
 *
 * From the bottom: a `ByteStream` carries frames (`frames.ts`). A frame carries a message of `pb/sync.proto`
 * (`messages.ts`), which is checked once here and trusted from there on. `Channel` asks over one stream,
 * `Peers` keeps a session's channels, and `FrameWriter` sends answers. The errors that a peer may get in
 * place of data are in `errors.ts`.
 */
export { makeCatchUpId } from './catch-up-id.ts'
export * from './errors.ts'
export type { ByteStream } from './frames.ts'
export type { OfferView } from './messages.ts'
export { Peers, type SyncNetwork } from './peers.ts'
