import type { StreamConfig } from '@nats-io/jetstream'
import { ENTRY_BYTES_MIN } from '../limits.ts'
import { maxPayloadOf } from './entry.ts'
import { covers } from './subjects.ts'

/** What a rule finds in a configuration: undefined if all is well, otherwise what is wrong, and why. */
type Rule = (config: StreamConfig) => string | boolean | undefined

const RULES: readonly Rule[] = [
  ({ retention }) =>
    retention !== 'limits' &&
    `its retention is ${retention}, so messages vanish from it when others have acknowledged them: mirror it into a stream of limits retention`,
  ({ storage }) =>
    storage !== 'file' &&
    `its storage is ${storage}, so its sequence numbers begin again when its servers restart: keep it in files, or mirror it into a stream in files`,
  ({ max_msgs_per_subject: most }) =>
    most > 0 &&
    `max_msgs_per_subject is ${most}, so newer messages remove older ones from its middle: set it to -1, or mirror it into a stream without that limit`,
  ({ allow_rollup_hdrs }) =>
    allow_rollup_hdrs &&
    'allow_rollup_hdrs is set, so a message may remove earlier ones from its middle: unset it, or mirror it into a stream without',
  ({ allow_msg_ttl }) =>
    allow_msg_ttl &&
    'allow_msg_ttl is set, so messages may vanish from its middle, each in its own time: mirror it into a stream without',
  ({ allow_msg_counter }) =>
    allow_msg_counter &&
    'allow_msg_counter is set, so it takes nothing but counters: mirror its messages into another stream',
  ({ allow_msg_schedules }) =>
    allow_msg_schedules &&
    'allow_msg_schedules is set, so schedules in it replace each other: let them be in a stream of their own',
  ({ no_ack }) => no_ack && 'no_ack is set, so nobody learns what became of a write: unset it',
  ({ persist_mode }) =>
    persist_mode === 'async' &&
    'persist_mode is async, so a crash of a server takes back what was read: make it without',
  ({ sealed }) => sealed && 'it is sealed, and takes no more messages: restore it into a stream that is not',
  ({ subject_transform }) =>
    subject_transform !== undefined &&
    'it has a subject_transform, so messages get another subject than the one they were published on: give the transform to a stream that has this one as its source',
  ({ mirror }) =>
    mirror !== undefined &&
    (!!mirror.filter_subject || (mirror.subject_transforms ?? []).length > 0) &&
    `it mirrors only a part of ${mirror.name}, or with other subjects: mirror all of it, or follow ${mirror.name}`,
  ({ mirror }) =>
    mirror?.external !== undefined &&
    `it mirrors ${mirror.name} of another domain or account, where entries would have to be written: follow ${mirror.name} there`,
  ({ max_msg_size: most }) =>
    most !== undefined &&
    most > 0 &&
    maxPayloadOf(most) < ENTRY_BYTES_MIN &&
    `max_msg_size is ${most}, and the group's own entries may have ${most - maxPayloadOf(most) + ENTRY_BYTES_MIN} bytes: raise it`,
]

/** Why a stream's configuration breaks an ordered and shared history; nothing if it does not. */
export function faultsOf(config: StreamConfig): string[] {
  return RULES.map((rule) => rule(config)).filter(
    (fault) => typeof fault === 'string' && fault !== '',
  ) as string[]
}

/** Whether a stream takes messages on `subject`. One that has only sources takes none, and has no subjects. */
export function takes({ subjects = [] }: Partial<StreamConfig>, subject: string): boolean {
  return subjects.some((pattern) => covers(pattern, subject))
}

/** Whether the stream's owner has messages removed from its beginning. */
export function hasLimits({ max_age, max_msgs, max_bytes }: StreamConfig): boolean {
  return max_age > 0 || max_msgs > 0 || max_bytes > 0
}
