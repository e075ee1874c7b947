import type { CheckpointSummary, ProcessEvent, SessionSummary, SyncSummary } from '../observe/events.ts'
import { plainText } from '../plain-text.ts'
import { formatPosition } from '../position.ts'
import { count, counted, duration, type Output, shortId, shortRoot, size } from './output.ts'

type EventOf<Type extends ProcessEvent['type']> = Extract<ProcessEvent, { type: Type }>

/**
 * An event that repeats is told at most once in this many milliseconds: a fetch reports ten times a second.
 */
const REPEAT_MS = 1_000

/** Problems that state a fact. All others are an attempt that failed and is repeated. */
const STATEMENTS: ReadonlySet<string> = new Set(['IdentityInUse', 'ServersOutdated'])

/** Tells people, in a line, what happened to a replica. */
export class EventFormatter {
  readonly #output: Output
  readonly #self: string
  readonly #toldMs = new Map<string, number>()

  constructor(output: Output, self: string) {
    this.#output = output
    this.#self = self
  }

  /** Undefined for an event that is not worth a line. What others wrote in it is made plain. */
  tell({ type, detail, atMs }: ProcessEvent): string | undefined {
    switch (type) {
      case 'state':
        return this.#state(detail)
      case 'leader':
        return `${this.#name(detail.leader)} leads, term ${detail.term}`
      case 'sync':
        return this.#sync(detail, atMs)
      case 'marked':
        return undefined
      case 'sealed':
        return `anchor ${count(detail.anchor.index)} is sealed, root ${shortRoot(detail.root)}`
      case 'caught-up':
        return this.#output.style('green', caughtUp(detail))
      case 'disputed': {
        const attested = [...detail.roots].map(([who, root]) => `${this.#name(who)} has ${shortRoot(root)}`)
        return this.#alarm(
          `disputed at ${formatPosition(detail.anchor)}, nobody installs it: ${attested.join(', ')}`,
        )
      }
      case 'divergence': {
        const { anchor, replica, root, sealed } = detail
        return this.#alarm(
          `${this.#name(replica)} diverged at ${formatPosition(anchor)}: its root is ${shortRoot(root)}, the group's ${shortRoot(sealed)}`,
        )
      }
      case 'upgraded':
        return detail.from === detail.to
          ? `the group's state is of format ${detail.format} from entry ${count(detail.position.index)} on`
          : plainText(
              `the group speaks ${detail.to} from entry ${count(detail.position.index)} on, no longer ${detail.from}`,
            )
      case 'pruned':
        return detail.upTo > 0 ? `pruned the log up to entry ${count(detail.upTo)}` : undefined
      case 'checkpoint':
        return this.#checkpoint(detail)
      case 'log':
        return detail.connected
          ? "the log's servers are there again"
          : this.#alarm("lost the log's servers; still reads and serves what it has, and looks for them")
      case 'skipped':
        return plainText(`skipped entry ${count(detail.index)}: ${detail.why}`)
      case 'problem':
        return this.#alarm(STATEMENTS.has(detail.name) ? detail.message : `${detail.message}; trying again`)
    }
  }

  #state({ state, reason }: EventOf<'state'>['detail']): string {
    if (reason !== undefined) return this.#alarm(`${state}: ${reason.message}`)
    return this.#output.style(state === 'in-sync' ? 'green' : 'yellow', state)
  }

  #sync(event: SyncSummary, atMs: number): string | undefined {
    switch (event.type) {
      case 'captured':
        return `captured ${event.items === undefined ? 'the state' : counted(event.items, 'item')} at anchor ${count(event.anchor.index)}`
      case 'cut':
        return `cut anchor ${count(event.anchor.index)} into ${counted(event.chunks, 'chunk')}, ${size(event.bytes)} in all, in ${duration(event.tookMs)}`
      case 'revived':
        if (this.#toldLately(`revived ${event.anchor.index}`, atMs)) return undefined
        return `the offer of anchor ${count(event.anchor.index)} is revived: it lapses in ${duration(event.remainingMs)}`
      case 'adopted':
        return `offers anchor ${count(event.anchor.index)} again: it lapses in ${duration(event.remainingMs)}`
      case 'released':
        return `the offer of anchor ${count(event.anchor.index)} ${event.cause === 'expired' ? 'lapsed' : `was ${event.cause}`}`
      case 'freed':
        return `gave back ${size(event.bytes)} of memory`
      case 'refused': {
        const { peer, error } = event
        if (this.#toldLately(`refused ${peer} ${error.name}`, atMs)) return undefined
        return plainText(`told ${shortId(peer)} ${error.name}: ${error.message}`)
      }
      case 'broken': {
        const { peer, error } = event
        if (this.#toldLately(`broken ${peer}`, atMs)) return undefined
        return plainText(`the stream that ${shortId(peer)} opened broke: ${error.message}`)
      }
      case 'named':
      case 'served':
      case 'fetched':
      case 'recalled':
      case 'ignored':
      case 'asked-again':
        return undefined
      case 'fault':
        return plainText(`${shortId(event.peer)}: ${event.error.message}`)
      case 'anchor-lost':
        return plainText(`${event.error.message}; asking for another anchor`)
      case 'session':
        return this.#session(event.state, atMs)
    }
  }

  #checkpoint(event: CheckpointSummary): string {
    switch (event.type) {
      case 'written':
        return `wrote a checkpoint at entry ${count(event.position.index)}, ${size(event.bytes)} of ${size(event.wholeBytes)}, in ${duration(event.tookMs)}`
      case 'loaded':
        return `loaded the checkpoint at entry ${count(event.position.index)} in ${duration(event.tookMs)}`
      case 'dropped':
        return `removed ${counted(event.count, 'older checkpoint')}`
      case 'freed':
        return `gave back ${size(event.bytes)} of disk: ${counted(event.count, 'chunk')} that nothing needs any more`
      case 'skipped':
        return this.#alarm(event.reason.message)
    }
  }

  #session(state: SessionSummary, atMs: number): string | undefined {
    switch (state.status) {
      case 'requesting':
        return 'asks the leader for a snapshot'
      case 'choosing':
        return `takes anchor ${count(state.anchor.index)}`
      case 'fetching': {
        const { chunks, chunksTotal, bytes, bytesTotal, providers } = state
        if (chunks < chunksTotal && this.#toldLately('fetching', atMs)) return undefined
        return `fetched ${chunks} of ${chunksTotal} chunks, ${size(bytes)} of ${size(bytesTotal)}, from ${counted(providers.length, 'provider')}`
      }
      case 'verifying':
        return 'has every chunk, and waits for the root to be sealed'
      case 'installing':
        return 'installs the snapshot'
      case 'done':
        return undefined
      case 'failed':
        return this.#alarm(`got no snapshot: ${state.reason.message}`)
    }
  }

  #name(replica: string): string {
    return replica === this.#self ? 'this replica' : shortId(replica)
  }

  #alarm(text: string): string {
    return this.#output.style('red', plainText(text))
  }

  #toldLately(what: string, atMs: number): boolean {
    if (atMs - (this.#toldMs.get(what) ?? Number.NEGATIVE_INFINITY) < REPEAT_MS) return true
    this.#toldMs.set(what, atMs)
    return false
  }
}

function caughtUp(report: EventOf<'caught-up'>['detail']): string {
  const { totalMs, bytesFetched, providersUsed, anchor, phasesMs, replayMs } = report
  const phases = Object.entries({ ...phasesMs, replay: replayMs })
    .map(([phase, ms]) => `${phase} ${duration(ms)}`)
    .join(', ')
  return `caught up from anchor ${count(anchor.index)} in ${duration(totalMs)}: ${size(bytesFetched)} from ${counted(providersUsed.length, 'provider')} (${phases})`
}
