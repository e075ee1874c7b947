/**
 * The fetching wing: how a replica gets a snapshot from the others. It lives for one catch-up.
 *
 * `Session` drives it: `AnchorRequest` asks the group for an anchor, `AnchorDownload` fetches and installs
 * it, and `Watchdog` judges when to leave it for another. `OfferDirectory` has what members say of their
 * offers. In `chunks/`, `Fetch` pulls the chunks of one anchor: `Listings` knows which provider lists which,
 * `ChunkRequests` asks for them. This wing knows nothing of the serving one; both speak `wire/`.
 */
export { askLeader } from './ask-leader.ts'
export type { ChunkMap, MappedChunk, MappedProvider } from './chunks/chunk-map.ts'
export type { ChunkOutcome, FetchedChunk } from './chunks/chunk-requests.ts'
export type { FetchProgress } from './chunks/fetch.ts'
export { Session } from './session.ts'
export type { CaughtUp, SessionEvent, SessionPhases, SessionState } from './session-state.ts'
