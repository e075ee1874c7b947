/**
 * The wire: what two replicas say to each other, and over which streams. Both wings stand on it, and it knows
 * neither.
 *
 * From the bottom: a `ByteStream` carries frames (`frames.ts`), a frame carries a message of `pb/sync.proto`
 * (`messages.ts`), checked once here and trusted from there on. `Channel` asks over one stream, `Peers` keeps
 * a session's channels, `FrameWriter` sends answers. What a peer may be answered instead of data is in
 * `errors.ts`.
 */
export * from './errors.ts'
export type { ByteStream } from './frames.ts'
export type { OfferView } from './messages.ts'
export { Peers, type SyncNetwork } from './peers.ts'
