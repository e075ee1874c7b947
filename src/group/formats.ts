/**
 * The newest format of the group's state that this version speaks:
 * - 1: leader, term, machine time.
 * - 2: besides, the format itself, the machine's signature, the newest command, and the writes with a key.
 *
 * All replicas of a group use one format at a time, since it is part of every root. The first claim of a log
 * sets it, and `upgrade` entries raise it.
 */
export const GROUP_FORMAT = 2
/** The format of a group before its log says anything. */
export const FIRST_FORMAT = 1
