import type { LogFields, LogLevel, LogLine } from '../logging/line.ts'
import { errorKey, loggedError } from '../logging/logged-error.ts'
import type { AvailableEvent } from '../snapshot/available.ts'
import { totalBytes } from '../snapshot/manifest.ts'
import type { SyncEvent } from './events.ts'
import type { SessionState } from './fetching/index.ts'

type EventOf<Type extends SyncEvent['type']> = Extract<SyncEvent, { type: Type }>

/** Refusals that are a part of every catch-up: the asker waits, or asks another one. */
const USUAL: ReadonlySet<string> = new Set(['Busy', 'NotLeader', 'Expired', 'UnknownAnchor'])

/** An event of snapshot sync as a line of a log. Events that come for each chunk have a key: they are added up. */
export function syncLine(event: SyncEvent): LogLine {
  switch (event.type) {
    case 'captured':
    case 'cut':
    case 'adopted':
    case 'revived':
    case 'released':
    case 'freed':
      return offerLine(event)
    case 'served':
    case 'fetched':
    case 'recalled':
      return chunkLine(event)
    case 'session':
      return sessionLine(event)
    case 'named': {
      const { type, peer, catchUp } = event
      const fields = { event: type, catchUp, anchor: event.anchor.index, peer }
      const key = `named ${peer} ${event.anchor.index}`
      return { level: 'info', component: 'leader', key, text: 'names an anchor to a peer', fields }
    }
    case 'anchor-lost': {
      const { type, error, catchUp } = event
      const fields = { event: type, catchUp, err: loggedError(error) }
      return sync('warn', 'its anchor is gone, so it asks for another', fields, errorKey(error))
    }
    case 'asked-again': {
      const { type, error, retryMs } = event
      const fields = { event: type, retryMs: Math.round(retryMs), err: loggedError(error) }
      return sync('debug', 'was named no anchor, and asks again', fields, error.name)
    }
    case 'ignored': {
      const { type, peer, offer } = event
      const fields = { event: type, anchor: offer.anchor.index, peer }
      return sync('trace', 'ignores an offer that nothing waits for', fields, peer)
    }
    case 'fault':
    case 'refused':
    case 'broken':
      return peerLine(event)
    default:
      return event satisfies never
  }
}

/** @param same what makes a later line of this event the same again */
function sync(level: LogLevel, text: string, fields: LogFields, same: string): LogLine {
  return { level, component: 'sync', text, fields, key: `${fields.event} ${same}` }
}

function peerLine(event: EventOf<'fault' | 'refused' | 'broken'>): LogLine {
  const { type, peer, error } = event
  const catchUp = 'catchUp' in event ? event.catchUp : undefined
  const fields = { event: type, catchUp, peer, err: loggedError(error) }
  switch (type) {
    case 'fault':
      return sync('warn', 'a peer failed it', fields, `${peer} ${errorKey(error)}`)
    case 'refused': {
      const level = USUAL.has(error.name) ? 'debug' : 'warn'
      return sync(level, 'refused what a peer asked for', fields, `${peer} ${error.name}`)
    }
    case 'broken':
      return sync('debug', 'a stream that a peer opened broke', fields, peer)
    default:
      return type satisfies never
  }
}

function offerLine(event: AvailableEvent): LogLine {
  const { type } = event
  const line = (level: LogLevel, text: string, fields: Omit<LogFields, 'event'>): LogLine => ({
    level,
    component: 'snapshot',
    text,
    fields: { event: type, ...fields },
  })
  switch (type) {
    case 'captured':
      return line('debug', 'captured the state', { anchor: event.anchor.index, items: event.items })
    case 'cut': {
      const { anchor, manifest, tookMs } = event
      const root = Buffer.from(manifest.root).toString('hex')
      const sizes = { chunks: manifest.chunks.length, bytes: totalBytes(manifest) }
      return line('info', 'cut a snapshot', { anchor: anchor.index, root, ...sizes, tookMs: whole(tookMs) })
    }
    case 'adopted':
      return line('info', 'offers a snapshot again', offered(event))
    case 'revived':
      return {
        ...line('trace', 'a fetch revived an offer', offered(event)),
        key: `revived ${event.anchor.index} `,
      }
    case 'released': {
      const { anchor, cause, why } = event
      const level = cause === 'failed' ? 'warn' : 'debug'
      const released = line(level, 'offers a snapshot no more', { anchor: anchor.index, cause, why })
      return { ...released, closes: [`served ${anchor.index} `, `revived ${anchor.index} `] }
    }
    case 'freed':
      return line('debug', 'gave memory back', { snapshots: event.count, bytes: event.bytes })
    default:
      return event satisfies never
  }
}

function offered({ anchor, remainingMs }: { anchor: { index: number }; remainingMs: number }) {
  return { anchor: anchor.index, remainingMs: whole(remainingMs) }
}

/** The first one is told at once. The rest are told by their sum. */
function chunkLine(event: EventOf<'served' | 'fetched' | 'recalled'>): LogLine {
  const { type, catchUp, bytes } = event
  const anchor = event.anchor.index
  const totals = { chunks: 1, bytes }
  switch (type) {
    case 'served': {
      const { peer } = event
      const fields = { event: type, catchUp, anchor, peer }
      return { ...sync('info', 'sends chunks to a peer', fields, `${anchor} ${peer}`), totals }
    }
    case 'fetched': {
      const { peer, outcome } = event
      const fields = { event: type, catchUp, anchor, peer, outcome }
      const level = outcome === 'wrong' ? 'warn' : 'debug'
      return { ...sync(level, 'got chunks from a peer', fields, `${anchor} ${peer} ${outcome}`), totals }
    }
    case 'recalled': {
      const fields = { event: type, catchUp, anchor }
      return { ...sync('debug', 'has chunks already', fields, `${anchor} `), totals }
    }
    default:
      return event satisfies never
  }
}

function sessionLine({ type, state, catchUp }: EventOf<'session'>): LogLine {
  const { status } = state
  const fields: LogFields = { event: type, catchUp, status, ...detailsOf(state) }
  // A session that fails is followed by another one, which often takes the same anchor.
  const same = `${status} ${fields.anchor}`
  const chunks = ['session fetching ', `fetched ${fields.anchor} `, `recalled ${fields.anchor} `]
  switch (status) {
    case 'requesting':
      return sync('info', 'catches up: asks for an anchor', fields, status)
    case 'choosing':
      return sync('info', 'catches up: was named an anchor', fields, same)
    case 'fetching':
      // It comes for each chunk, and says all that is known by then.
      return { ...sync('info', 'catches up: fetches', fields, same), totals: {} }
    case 'verifying':
      return sync('debug', 'catches up: waits for the seal', fields, same)
    case 'installing':
      return { ...sync('debug', 'catches up: installs', fields, same), closes: chunks }
    case 'done':
      return { ...sync('info', 'catches up: installed the snapshot', fields, same), closes: chunks }
    case 'failed': {
      const { reason } = state
      const level = reason.name === 'ReplicaStopped' ? 'debug' : 'warn'
      // What else it told comes again with the next one, and is counted: each failure would tell all of it.
      return {
        ...sync(level, 'a catch-up failed', fields, `${status} ${reason.name}`),
        closes: ['session fetching '],
      }
    }
    default:
      return state satisfies never
  }
}

function detailsOf(state: SessionState): Omit<LogFields, 'event'> {
  switch (state.status) {
    case 'requesting':
      return {}
    case 'choosing':
    case 'verifying':
    case 'installing':
      return { anchor: state.anchor.index }
    case 'fetching': {
      const { anchor, chunks, chunksTotal, bytes, bytesTotal, providers } = state
      return { anchor: anchor.index, chunks, chunksTotal, bytes, bytesTotal, providers: providers.length }
    }
    case 'done': {
      const { anchor, providersUsed, bytesFetched, anchorsLost } = state
      return { anchor: anchor.index, providers: providersUsed.length, bytes: bytesFetched, anchorsLost }
    }
    case 'failed':
      return { err: loggedError(state.reason) }
    default:
      return state satisfies never
  }
}

function whole(ms: number): number {
  return Math.round(ms)
}
