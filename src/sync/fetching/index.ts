/**
 * The fetching wing: how a replica gets a snapshot from the others. It lives for one catch-up.
 *
 * `Session` drives it: ask the leader for an anchor, choose providers, fetch, verify, install. `Fetch` pulls one
 * anchor's chunks from several providers at once, by the plan of `scheduler.ts`. What members said of their offers is in
 * `offer-directory.ts`. This wing knows nothing of the serving one; both speak `wire/`.
 */
export { askLeader } from './ask-leader.ts'
export { type CaughtUp, Session, type SessionPhases, type SessionState } from './session.ts'
