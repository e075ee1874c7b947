import {
  type CommandContext,
  type Installation,
  MalformedCommand,
  type Places,
  type Snapshot,
  type StateMachine,
} from '../../machine/machine.ts'
import type { Run, RunGroup } from '../../machine/run.ts'
import { checkItemBytes, itemsOf } from '../../snapshot/chunk.ts'
import { cut } from '../../snapshot/cut.ts'
import { CutHistory } from '../../snapshot/cut-history.ts'
import { CutSnapshot } from '../../snapshot/cut-snapshot.ts'
import { zstdCoder } from '../../snapshot/encoding.ts'
import { asError } from '../../thrown.ts'
import { systemClock } from '../../time/clock.ts'
import { shown } from './excerpt.ts'
import { type FaultPlace, faultOf, type MachineCheck, MachineFault, orFault } from './machine-fault.ts'
import { sameValue } from './same-value.ts'
import type { Step } from './script.ts'
import { compareItems, type State, type StateChunk } from './state.ts'

/** What came of a command. */
export type Outcome =
  | { readonly type: 'applied'; readonly result: unknown }
  | { readonly type: 'malformed'; readonly message: string }

export interface SubjectInit {
  readonly machine: StateMachine
  /** The check that it is made for: what `apply` and `advance` throw is a fault of it. */
  readonly check: MachineCheck
  /** The average size of chunks, in bytes. */
  readonly chunkBytes: number
  /** The version that is active. Default: the machine's newest. */
  readonly signature?: string
  /** Makes each call of the machine: see `inForeignTime`. Default: as it is. */
  readonly call?: <T>(work: () => T) => T
}

/** What a machine that keeps its state on the disk notes with it, in the place of a replica's note. */
const NOTE = Buffer.from('checkMachine')
/** Items between two calls of `add`, as a replica makes them. */
const ITEMS_PER_CALL = 256

/** A machine, driven as a replica drives it. What it throws is a fault, but for `MalformedCommand`. */
export class Subject {
  readonly machine: StateMachine
  readonly #check: MachineCheck
  readonly #chunkBytes: number
  readonly #call: <T>(work: () => T) => T
  readonly #cuts = new CutHistory()
  #signature: string
  #timeMs = Number.NEGATIVE_INFINITY

  constructor({ machine, check, chunkBytes, signature, call = (work) => work() }: SubjectInit) {
    this.machine = machine
    this.#signature = signature ?? machine.signature
    this.#check = check
    this.#chunkBytes = chunkBytes
    this.#call = call
  }

  /** Move machine time, if it does move, and apply. */
  apply(step: Step, command: Uint8Array = Uint8Array.from(step.command)): Outcome {
    const place = { command: step.number, bytes: command }
    this.advance(step.context.timeMs, place)
    return this.applyNow(command, step.context, place)
  }

  applyNow(command: Uint8Array, when: Step['context'], place: FaultPlace): Outcome {
    const context: CommandContext = { ...when, signature: this.#signature }
    let result: unknown
    try {
      result = this.#call(() => this.machine.apply(command, context))
    } catch (error) {
      if (error instanceof MalformedCommand) return { type: 'malformed', message: error.message }
      throw faultOf(this.#check, 'apply()', place, error)
    }
    if (!(result instanceof Promise)) return { type: 'applied', result }
    result.catch(() => {})
    const what = 'apply() returned a promise, and its work must be done when it returns'
    throw new MachineFault('determinism', what, place)
  }

  advance(timeMs: number, place: FaultPlace): void {
    if (timeMs <= this.#timeMs) return
    this.#timeMs = timeMs
    orFault(this.#check, 'advance()', place, () => this.#call(() => this.machine.advance?.(timeMs)))
  }

  /** The group goes over to another version. */
  upgrade(to: string, place: FaultPlace): void {
    const from = this.#signature
    this.#signature = to
    orFault('upgrade', `upgrade(${from}, ${to})`, place, () => {
      // As a replica does: what comes before is committed, and so is the upgrade by itself.
      this.machine.durable?.commit(NOTE)
      this.#call(() => this.machine.upgrade?.(from, to))
      this.machine.durable?.commit(NOTE)
    })
  }

  /** Throws what the machine throws. */
  ask(question: Uint8Array): Uint8Array | undefined {
    this.machine.durable?.commit(NOTE)
    return this.#call(() => this.machine.query?.(question))
  }

  get dueMs(): number | undefined {
    return orFault(this.#check, 'dueMs', {}, () => this.#call(() => this.machine.dueMs))
  }

  /** As between two commands: what was applied is committed first, where the machine keeps its state. */
  capture(place: FaultPlace): Snapshot {
    return orFault('items', 'capture()', place, () => {
      this.machine.durable?.commit(NOTE)
      return this.#call(() => this.machine.capture(this.#signature))
    })
  }

  /** The items of a snapshot, copied, and release it. */
  items(place: FaultPlace): Uint8Array[] {
    const snapshot = this.capture(place)
    const items = this.read(snapshot, place)
    this.release(snapshot, place)
    return items
  }

  /** The items of a snapshot, copied. */
  read(snapshot: Snapshot, place: FaultPlace): Uint8Array[] {
    const items = orFault('items', 'items()', place, () =>
      this.#call(() => Array.from(snapshot.items(), (item) => Uint8Array.from(item))),
    )
    const { size } = snapshot
    if (size !== undefined && size !== items.length) {
      throw new MachineFault('items', `a snapshot has the size ${size}, and ${items.length} items`, place)
    }
    for (const { length } of items) orFault('items', 'a snapshot', place, () => checkItemBytes(length))
    return items
  }

  release(snapshot: Snapshot, place: FaultPlace): void {
    orFault('isolation', 'release()', place, () => this.#call(() => snapshot.release()))
  }

  /** The state as a replica would have it: read, and cut. It is captured twice for that. */
  async state(place: FaultPlace): Promise<State> {
    const items = this.items(place)
    const { root, chunks } = await this.#cut(place)
    const cutItems = chunks.flatMap(({ bytes, items }) => [...itemsOf(bytes, items)])
    const what = 'two captures of one state differ, or runs() and items() of it'
    compareItems('items', place, what, items, cutItems)
    return { items, root, chunks }
  }

  /** Begin an installation. */
  install(place: FaultPlace): Installation {
    return orFault('install', 'install()', place, () =>
      this.#call(() => this.machine.install(this.#signature)),
    )
  }

  add(installation: Installation, chunks: readonly StateChunk[], place: FaultPlace): void {
    for (const { bytes, items } of chunks) {
      const all = itemsOf(bytes, items)
      for (let from = 0; from < items; from += ITEMS_PER_CALL) {
        orFault('install', 'add()', place, () =>
          this.#call(() => installation.add(all.run(from, ITEMS_PER_CALL))),
        )
      }
    }
  }

  /** Commit, and go on from `timeMs`, as a replica does. */
  async commit(installation: Installation, timeMs: number, place: FaultPlace): Promise<void> {
    try {
      await installation.finish?.()
    } catch (error) {
      throw faultOf('install', 'finish()', place, error)
    }
    orFault('install', 'commit()', place, () =>
      this.#call(() =>
        this.machine.durable === undefined ? installation.commit() : installation.commit(NOTE),
      ),
    )
    this.#timeMs = Number.NEGATIVE_INFINITY
    this.advance(timeMs, place)
    const { signal } = new AbortController()
    try {
      await this.#call(() => this.machine.afterInstall?.(signal))
    } catch (error) {
      throw faultOf('install', 'afterInstall()', place, error)
    }
  }

  async #cut(place: FaultPlace): Promise<Pick<State, 'root' | 'chunks'>> {
    const snapshot = new WatchedSnapshot(this.capture(place))
    const into = new CutSnapshot(zstdCoder)
    try {
      const { signal } = new AbortController()
      const options = { control: new Uint8Array(), chunkBytes: this.#chunkBytes, history: this.#cuts }
      const { root, chunks: infos } = await cut(snapshot, into, { ...options, clock: systemClock, signal })
      const chunks: StateChunk[] = []
      for (const [index, { items }] of infos.entries()) {
        chunks.push({ bytes: Uint8Array.from(await into.raw(index)), items })
      }
      into.release()
      if (snapshot.failure !== undefined) throw faultOf('isolation', 'release()', place, snapshot.failure)
      return { root, chunks }
    } catch (error) {
      into.release()
      throw faultOf('items', 'cutting a snapshot', place, error)
    }
  }
}

/** A snapshot as a replica releases it, who goes on if that throws. */
class WatchedSnapshot implements Snapshot {
  readonly size: number | undefined
  readonly runs?: () => Iterable<Run | RunGroup>
  readonly places?: Places
  failure: unknown
  readonly #snapshot: Snapshot

  constructor(snapshot: Snapshot) {
    this.#snapshot = snapshot
    this.size = snapshot.size
    if (snapshot.runs !== undefined) this.runs = () => snapshot.runs!()
    if (snapshot.places !== undefined) this.places = snapshot.places
  }

  items(): Iterable<Uint8Array> {
    return this.#snapshot.items()
  }

  release(): void {
    try {
      this.#snapshot.release()
    } catch (error) {
      this.failure = asError(error)
    }
  }
}

/** Throws a fault unless both did the same. */
export function compareOutcomes(
  check: MachineCheck,
  place: FaultPlace,
  what: string,
  expected: Outcome,
  found: Outcome,
): void {
  if (expected.type === found.type) {
    if (expected.type === 'malformed') return
    if (found.type === 'applied' && sameValue(expected.result, found.result)) return
  }
  throw new MachineFault(check, `${what}: ${told(expected)} in one and ${told(found)} in the other`, place)
}

function told(outcome: Outcome): string {
  return outcome.type === 'applied'
    ? `apply() returned ${shown(outcome.result)}`
    : `it threw MalformedCommand (${outcome.message})`
}
