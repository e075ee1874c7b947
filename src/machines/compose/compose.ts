import { ComposedMachine } from './composed-machine.ts'
import type { Parts } from './parts.ts'

/** A composed machine, with its parts as properties. */
export type Composition<P extends Parts> = ComposedMachine<P> & Readonly<P>

/** Names that parts cannot have. */
type OwnNames = { readonly [N in keyof ComposedMachine<Parts>]?: never }

/**
 * Several machines as one: in one group, with one log, one snapshot and one clock for TTLs.
 *
 * Each part is written, read and listened to as if it had a replica of its own: it is the very machine that was
 * given. `submitAll` writes to several parts at once. A snapshot has all parts as of one position of the log, and
 * when one is installed, all parts change before any of them tells.
 *
 * A part can be any machine, also a composition. It belongs to one composition, and is given to no replica itself.
 * Names and signatures of all parts are in the signature of the composition: with other parts it is another group's.
 * It speaks older versions of itself where its parts speak older ones, at most 16: first those in which all parts
 * are equally old. When the group goes over to another version, the parts whose version changes are upgraded.
 *
 * Throws `BadComposition` if there is no part, if a name is no identifier or one of the composition's own, if two parts
 * are the same machine, and for a machine that keeps its state on the disk by itself.
 *
 * @example
 * ```ts
 * const state = compose({ users: new ReplicatedMap<string, User>(), emails: new ReplicatedMap() })
 * await using replica = await createReplica({ group: 'accounts', machine: state, log })
 * await state.users.set('ada', { name: 'Ada' })
 * await state.submitAll([state.commands.users.delete('ada'), state.commands.emails.delete('ada')])
 * ```
 */
export function compose<const P extends Parts>(parts: P & OwnNames): Composition<P> {
  return new ComposedMachine<P>(parts) as Composition<P>
}
