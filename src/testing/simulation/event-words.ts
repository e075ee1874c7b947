import type { SyncEvent } from '../../sync/events.ts'
import type { Told } from './node.ts'

/** An event in a few words, for the trace. */
export function inWords({ type, detail }: Told): string {
  switch (type) {
    case 'state':
      return `is ${detail.state}${detail.reason === undefined ? '' : ` (${detail.reason.name})`}`
    case 'leader':
      return `knows leader ${detail.leader.slice(-4)} of term ${detail.term}`
    case 'sync':
      return syncInWords(detail)
    case 'marked':
      return `has the marker of ${detail.anchor.index}`
    case 'sealed':
      return `has the seal of ${detail.anchor.index}`
    case 'caught-up':
      return `caught up at ${detail.anchor.index}, of ${detail.providersUsed.length}`
    case 'disputed':
    case 'divergence':
      return `${type} at ${detail.anchor.index}`
    case 'upgraded':
      return `speaks ${detail.to} in format ${detail.format} from ${detail.position.index} on`
    case 'pruned':
      return `pruned up to ${detail.upTo}`
    case 'checkpoint':
      return `checkpoint ${detail.type}${'position' in detail ? ` ${detail.position.index}` : ''}`
    case 'problem':
      return `problem ${detail.name}: ${detail.message}`
    case 'log':
      return detail.connected ? 'reaches the log' : 'does not reach the log'
    case 'skipped':
      return `skipped ${detail.entry.index}`
  }
}

function syncInWords(event: SyncEvent): string {
  switch (event.type) {
    case 'session':
      return `session ${event.state.status}${'anchor' in event.state ? ` ${event.state.anchor.index}` : ''}`
    case 'captured':
    case 'cut':
    case 'revived':
    case 'adopted':
      return `${event.type} ${event.anchor.index}`
    case 'released':
      return `released ${event.anchor.index} (${event.cause})`
    case 'named':
      return `named ${event.anchor.index}`
    case 'served':
      return `served ${event.bytes} of ${event.anchor.index}`
    case 'fetched':
      return `fetched ${event.index} of ${event.anchor.index}, ${event.outcome}`
    case 'recalled':
      return `had ${event.index} of ${event.anchor.index}`
    case 'refused':
    case 'broken':
    case 'fault':
    case 'asked-again':
    case 'anchor-lost':
      return `${event.type} ${event.error.name}`
    case 'ignored':
    case 'freed':
      return event.type
  }
}
