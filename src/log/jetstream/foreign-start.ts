import type { StreamInfo } from '@nats-io/jetstream'
import { LogUnusable } from '../errors.ts'
import type { SignalOptions } from '../log.ts'
import type { Start } from './foreign-record.ts'
import { hasLimits } from './foreign-rules.ts'
import type { Link } from './link.ts'
import type { Range } from './numbering.ts'
import type { LogBeginning } from './options.ts'
import { streamInfo } from './stream.ts'

/** The part of a stream with limits that `oldest` leaves out: it would be gone before the replicas have read it. */
const MARGIN_PART = 1 / 10
/** The most ranges of deleted messages that a group remembers. With them its record has 30 KB. */
const GAPS_MAX = 1_000
/** The most deleted messages that the servers are asked to list: an answer of 1 MB. */
const DELETED_MAX = 100_000

/** Finds where a group's log begins in a stream. Rejects with `LogUnusable` if it cannot begin there. */
export async function startOf(
  link: Link,
  info: StreamInfo,
  from: LogBeginning,
  options?: SignalOptions,
): Promise<Start> {
  const base = baseOf(info, from, link.place)
  const { last_seq, messages, num_deleted = 0 } = info.state
  if (num_deleted === 0 || messages === 0 || base >= last_seq) return { base, gaps: [] }
  if (num_deleted > DELETED_MAX) throw tooManyGaps(`${num_deleted} messages`, link.place)
  const { state } = await link.ask(
    (jsm) => streamInfo(jsm, info.config.name, { deleted_details: true }),
    options,
  )
  const gaps = rangesOf((state.deleted ?? []).filter((sequence) => sequence > base))
  const later = gaps.at(-GAPS_MAX - 1)
  if (later !== undefined) throw tooManyGaps(`messages at ${gaps.length} places`, link.place, later.to + 1)
  return { base, gaps }
}

function baseOf({ state, config }: StreamInfo, from: LogBeginning, place: string): number {
  const { messages, last_seq } = state
  const first = messages === 0 ? last_seq + 1 : state.first_seq
  switch (from) {
    case 'all':
      if (first <= 1) return 0
      throw new LogUnusable(
        `messages 1 to ${first - 1} of the stream are gone, so a log of all cannot begin: give from: 'oldest' for what is there, 'new' for what comes, or a sequence number`,
        { place },
      )
    case 'oldest':
      return first - 1 + (hasLimits(config) ? Math.floor(messages * MARGIN_PART) : 0)
    case 'new':
      return last_seq
    default:
      if (from >= first && from <= last_seq + 1) return from - 1
      throw new LogUnusable(
        `the log cannot begin with message ${from}: the stream has messages ${first} to ${last_seq}; give one of these or the next, 'oldest' or 'new'`,
        { place },
      )
  }
}

function rangesOf(sequences: readonly number[]): Range[] {
  const ranges: { from: number; to: number }[] = []
  for (const sequence of sequences.toSorted((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last?.to === sequence - 1) last.to = sequence
    else ranges.push({ from: sequence, to: sequence })
  }
  return ranges
}

function tooManyGaps(what: string, place: string, from?: number): LogUnusable {
  const behind = from === undefined ? '' : ` or a number from ${from} on`
  return new LogUnusable(
    `${what} were deleted from the middle of the stream, and a log remembers ${GAPS_MAX} places at most: give from: 'new'${behind}`,
    { place },
  )
}
