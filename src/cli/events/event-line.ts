import { ELECTORATE_MAX } from '../../group/seal.ts'
import type { ProcessEvent } from '../../observe/events.ts'
import { plainText } from '../../plain-text.ts'
import { EventFormatter } from '../event-formatter.ts'
import { count, counted, duration, type Output, shortId, shortRoot, size } from '../output.ts'
import type { GroupEvent } from './group-event.ts'

const INDEX_WIDTH = 12
/** The most that is told of one event, in characters: a few lines of a terminal. */
const TEXT_CHARS_MAX = 400
const TIME_MS_MAX = 8.64e15

/** A group's events for people, in a line each. */
export class EventLine {
  readonly #output: Output
  readonly #formatter: EventFormatter

  constructor(output: Output) {
    this.#output = output
    this.#formatter = new EventFormatter(output, '')
  }

  tell(event: GroupEvent): string {
    const { atMs, index, member } = event
    const time = Math.abs(atMs) <= TIME_MS_MAX ? new Date(atMs).toISOString() : 'at no time'
    const cells = [
      this.#output.style('dim', time),
      (index === null ? '' : count(index)).padStart(INDEX_WIDTH),
      (member === null ? '' : shortId(member)).padEnd(9),
      this.#text(event),
    ]
    return cells.join('  ')
  }

  #text(event: GroupEvent): string {
    const { detail, atMs } = event
    switch (event.event) {
      case 'sealed':
      case 'disputed':
      case 'divergence':
      case 'upgraded':
        // A replica tells these of its group, in the same words.
        return this.#formatter.tell({ type: event.event, detail, atMs } as ProcessEvent) ?? event.event
      case 'leader':
        return `leads, term ${event.detail.term}`
      case 'marked':
        return `marked an anchor, about which ${event.detail.electorate.slice(0, ELECTORATE_MAX).map(shortId).join(', ')} decide`
      case 'attested': {
        const { anchor, root } = event.detail
        return `attests root ${shortRoot(root)} at ${count(anchor.index)}`
      }
      case 'prune':
        return `prunes the log up to entry ${count(event.detail.upTo)}`
      case 'genesis': {
        const { root, signature, source } = event.detail
        const from = `${source.group}, entry ${count(source.index)}`
        return brief(
          `the log begins with a snapshot of ${from}: root ${shortRoot(root)}, machine ${signature}`,
        )
      }
      case 'void':
        return brief(`did nothing: ${event.detail.why}`)
      default:
        return this.#member(event)
    }
  }

  #member(event: Exclude<GroupEvent, { readonly index: number }>): string {
    switch (event.event) {
      case 'present':
      case 'joined': {
        const { state, position, addresses } = event.detail
        const verb = event.event === 'present' ? 'is there' : 'came'
        return brief(`${verb}: ${state}, at entry ${count(position)}, ${addresses.join(' ')}`)
      }
      case 'state': {
        const { state, from, position } = event.detail
        return `${state}, no longer ${from}; at entry ${count(position)}`
      }
      case 'left':
        return 'left'
      case 'silent': {
        const { state, announcedMsAgo } = event.detail
        return this.#output.style('red', `fell silent ${duration(announcedMsAgo)} ago, ${state}`)
      }
      case 'catch-up-ended': {
        const { id, state } = event.detail
        const how = state === null ? 'it is gone' : `it is ${state}`
        return plainText(`catch-up ${id} ended: ${how}`)
      }
      case 'catch-up-began':
      case 'catch-up':
        return catchUpText(event)
      default:
        return event.event
    }
  }
}

function catchUpText({ event, detail }: GroupEvent<'catch-up-began' | 'catch-up'>): string {
  const { id, phase, anchor, chunks, chunksTotal, bytes, bytesTotal, elapsedMs, providers } = detail
  const began = event === 'catch-up-began' ? ' began' : ''
  const of = anchor === 0 ? '' : ` of anchor ${count(anchor)}`
  const far =
    chunksTotal === 0
      ? ''
      : `, ${count(chunks)} of ${count(chunksTotal)} chunks, ${size(bytes)} of ${size(bytesTotal)}, from ${counted(providers, 'provider')}`
  return plainText(`catch-up ${id}${began}: ${phase}${of}${far}, after ${duration(elapsedMs)}`)
}

/** Others' texts may be as long as an entry. */
function brief(text: string): string {
  return plainText(text.length > TEXT_CHARS_MAX ? `${text.slice(0, TEXT_CHARS_MAX)}…` : text)
}
