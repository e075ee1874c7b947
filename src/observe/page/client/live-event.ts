import { count, plain, shortId, size } from './format.ts'

/** What happened to the replica, as `/live` tells it: `ProcessEvent` in `observe/events.ts`. */
export interface LiveEvent {
  readonly type: string
  readonly detail: unknown
  readonly atMs: number
}

/** Undefined for what is none. */
export function asEvent(value: unknown): LiveEvent | undefined {
  const { type, detail, atMs } = fields(value)
  return typeof type === 'string' && typeof atMs === 'number' ? { type, detail, atMs } : undefined
}

/** The kinds of events by which the stream is filtered. */
export const KINDS = ['state', 'anchors', 'catch-up', 'serving', 'offers', 'log', 'problems'] as const
export type Kind = (typeof KINDS)[number]

const KIND_OF: Readonly<Record<string, Kind>> = {
  state: 'state',
  leader: 'state',
  upgraded: 'state',
  marked: 'anchors',
  sealed: 'anchors',
  captured: 'anchors',
  adopted: 'anchors',
  cut: 'anchors',
  released: 'anchors',
  freed: 'anchors',
  'caught-up': 'catch-up',
  session: 'catch-up',
  fetched: 'catch-up',
  recalled: 'catch-up',
  'anchor-lost': 'catch-up',
  served: 'serving',
  revived: 'offers',
  pruned: 'log',
  log: 'log',
  checkpoint: 'log',
  skipped: 'log',
}

/** The event's own name: that of what it tells of the sync service, too. */
export function nameOf({ type, detail }: LiveEvent): string {
  const inner = type === 'sync' || type === 'checkpoint' ? fields(detail).type : undefined
  if (typeof inner !== 'string') return plain(type)
  return plain(type === 'checkpoint' ? `checkpoint ${inner}` : inner)
}

/** What this page does not know is among the problems: there nobody overlooks it. */
export function kindOf(event: LiveEvent): Kind {
  const name = event.type === 'sync' ? nameOf(event) : event.type
  return Object.hasOwn(KIND_OF, name) ? KIND_OF[name]! : 'problems'
}

/** What it tells, in a line: "anchor 1,200 · root 3f…". */
export function textOf({ type, detail }: LiveEvent): string {
  const told = fields(detail)
  const words: string[] = []
  for (const [name, value] of Object.entries(told)) {
    if (name === 'type' && (type === 'sync' || type === 'checkpoint')) continue
    const word = wordOf(name, value)
    if (word !== '') words.push(word)
  }
  return plain(words.join(' · '))
}

const DEPTH_MAX = 3

function wordOf(name: string, value: unknown, depth = 0): string {
  switch (typeof value) {
    case 'string':
      return PEERS.has(name)
        ? `${name} ${shortId(value)}`
        : HEX.has(name)
          ? `${name} ${value.slice(0, 16)}`
          : `${name} ${value}`
    case 'number':
      if (name.toLowerCase().includes('bytes')) return `${wordsOf(name)} ${size(value)}`
      return name.endsWith('Ms')
        ? `${wordsOf(name.slice(0, -2))} ${count(value)} ms`
        : `${wordsOf(name)} ${count(value)}`
    case 'boolean':
      return value ? name : `not ${name}`
    case 'object':
      return value === null || depth >= DEPTH_MAX ? '' : objectOf(name, value, depth)
    default:
      return ''
  }
}

const PEERS: ReadonlySet<string> = new Set(['peer', 'leader', 'replica', 'member', 'author'])
const HEX: ReadonlySet<string> = new Set(['root', 'sealed'])

function objectOf(name: string, value: object, depth: number): string {
  const { index, message } = fields(value)
  // A position, and an error.
  if (typeof index === 'number') return `${wordsOf(name)} ${count(index)}`
  if (typeof message === 'string') return message
  if (Array.isArray(value)) {
    const texts = value.filter((item) => typeof item === 'string')
    return texts.length === 0 ? '' : `${wordsOf(name)} ${texts.slice(0, 8).map(shortId).join(', ')}`
  }
  const inner = Object.entries(value).map(([key, item]) => wordOf(key, item, depth + 1))
  return inner.filter((word) => word !== '').join(' · ')
}

/** "bytesFetched" as "bytes fetched". */
function wordsOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}

function fields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
