import type { CheckpointEvent } from '../../checkpoint/store.ts'
import type { LogFields, LogLevel, LogLine } from '../../logging/line.ts'
import { errorKey, loggedError } from '../../logging/logged-error.ts'
import { syncLine } from '../../sync/log-lines.ts'
import type { CatchUpReport, Divergence, ReplicaEvent, StateChange } from '../events.ts'

/** An event of a replica as a line of its log. */
export function replicaLine({ type, detail }: ReplicaEvent, self: string): LogLine | undefined {
  switch (type) {
    case 'sync':
      return syncLine(detail)
    case 'state':
      return stateLine(detail)
    case 'leader': {
      const { leader, term } = detail
      const text = leader === self ? 'leads now' : 'another one leads now'
      return { level: 'info', component: 'leader', text, fields: { event: type, leader, term } }
    }
    case 'marked':
      return snapshot('debug', 'the log marks an anchor', { event: type, anchor: detail.anchor.index })
    case 'sealed': {
      const { anchor, root } = detail
      const fields = { event: type, anchor: anchor.index, root: hex(root) }
      return snapshot('info', 'the group agreed on an anchor', fields)
    }
    case 'disputed': {
      const { anchor, roots } = detail
      const words = Array.from(roots, ([id, root]) => `${id}: ${hex(root)}`).join(', ')
      const fields = { event: type, anchor: anchor.index, roots: words }
      return snapshot(
        'error',
        'the group does not agree on its state, and nobody installs this anchor',
        fields,
      )
    }
    case 'divergence':
      return divergenceLine(detail, self)
    case 'caught-up':
      return caughtUpLine(detail)
    case 'log':
      return logLine(detail.connected)
    case 'upgraded': {
      const { position, format, from, to } = detail
      const fields = { event: type, index: position.index, format, from, to }
      return { level: 'info', component: 'replica', text: 'the group speaks another version', fields }
    }
    case 'pruned': {
      if (detail.upTo === 0) return undefined
      const fields = { event: type, upTo: detail.upTo }
      return { level: 'info', component: 'log', text: 'pruned the log', fields }
    }
    case 'checkpoint':
      return checkpointLine(detail)
    case 'skipped': {
      const { entry, why } = detail
      const fields = { event: type, index: entry.index, kind: entry.kind, why }
      return {
        level: 'warn',
        component: 'log',
        key: `skipped ${entry.kind}`,
        text: 'skipped an entry',
        fields,
      }
    }
    case 'problem': {
      const fields = { event: type, err: loggedError(detail) }
      const key = `problem ${errorKey(detail)}`
      return { level: 'warn', component: 'replica', key, text: 'met a problem, and goes on', fields }
    }
  }
}

function snapshot(level: LogLevel, text: string, fields: LogFields): LogLine {
  return { level, component: 'snapshot', text, fields }
}

function stateLine({ state, previous, reason }: StateChange): LogLine {
  const fields = {
    event: 'state',
    state,
    previous,
    ...(reason !== undefined && { err: loggedError(reason) }),
  }
  const level = state === 'halted' || state === 'lost' ? 'error' : reason === undefined ? 'info' : 'warn'
  return { level, component: 'replica', key: `state ${state}`, text: `is ${state}`, fields }
}

function divergenceLine({ anchor, replica, root, sealed }: Divergence, self: string): LogLine {
  const fields = { event: 'divergence', anchor: anchor.index, root: hex(root), sealed: hex(sealed) }
  if (replica === self)
    return snapshot('error', "its state is not the group's, so it is fetched again", fields)
  return snapshot('warn', "another replica's state is not the group's", { ...fields, peer: replica })
}

function caughtUpLine(report: CatchUpReport): LogLine {
  const { catchUp, anchor, providersUsed, bytesFetched, anchorsLost, phasesMs, replayMs, totalMs } = report
  const timesMs = { ...phasesMs, replay: replayMs, total: totalMs }
  const times = Object.entries(timesMs).map(([phase, ms]) => [`${phase}Ms`, Math.round(ms)])
  const fields = {
    event: 'caught-up',
    catchUp,
    anchor: anchor.index,
    providers: providersUsed.length,
    bytes: bytesFetched,
    anchorsLost,
    ...Object.fromEntries(times),
  }
  return { level: 'info', component: 'sync', text: 'caught up', fields }
}

function logLine(connected: boolean): LogLine {
  const level = connected ? 'info' : 'warn'
  const text = connected ? "reaches the log's servers again" : "does not reach the log's servers"
  const fields = { event: 'log', connected }
  return { level, component: 'log', key: `log ${connected}`, text, fields }
}

function checkpointLine(event: CheckpointEvent): LogLine {
  const line = (level: LogLevel, text: string, fields: Omit<LogFields, 'event'>): LogLine => ({
    level,
    component: 'checkpoint',
    text,
    fields: { event: event.type, ...fields },
  })
  switch (event.type) {
    case 'written': {
      const { position, bytes, wholeBytes } = event
      const tookMs = Math.round(event.tookMs)
      return line('info', 'wrote a checkpoint', { index: position.index, bytes, wholeBytes, tookMs })
    }
    case 'loaded': {
      const tookMs = Math.round(event.tookMs)
      return line('info', 'loaded a checkpoint', { index: event.position.index, tookMs })
    }
    case 'skipped':
      return line('warn', 'left a checkpoint out', { path: event.path, err: loggedError(event.reason) })
    case 'dropped':
      return line('debug', 'removed older checkpoints', { checkpoints: event.count, bytes: event.bytes })
    case 'freed':
      return line('debug', 'gave disk back', { chunks: event.count, bytes: event.bytes })
    default:
      return event satisfies never
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
