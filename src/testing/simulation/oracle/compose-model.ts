import type { CommandContext } from '../../../machine/machine.ts'
import type { ComposedMachine } from '../../../machines/compose/composed-machine.ts'
import type { Parts } from '../../../machines/compose/parts.ts'
import type { Digest, Model } from './model.ts'

/** What a model says of a command that is refused: the writer is told, and there is no result. */
export const REFUSED = 'refused'

/** Models of the parts, by their names. The machines that they are of are not known here. */
export type PartModels = Readonly<Record<string, Model<never>>>

interface Applied {
  readonly part: string
  readonly command: Uint8Array
  readonly context: CommandContext
}

/**
 * What a composition holds: what its parts hold. Several commands of which one is refused are undone by brute
 * force: new models apply again all that came before.
 */
export class ComposeModel<P extends Parts> implements Model<ComposedMachine<P>> {
  readonly #fresh: () => PartModels
  readonly #names: readonly string[]
  readonly #applied: Applied[] = []
  #models: PartModels

  /** @param fresh makes models of all parts, as they are before the first command */
  constructor(fresh: () => PartModels) {
    this.#fresh = fresh
    this.#models = fresh()
    this.#names = Object.keys(this.#models).sort()
  }

  get dueMs(): number | undefined {
    const due = this.#names.flatMap((name) => this.#models[name]!.dueMs ?? [])
    return due.length === 0 ? undefined : Math.min(...due)
  }

  apply(bytes: Uint8Array, context: CommandContext): unknown {
    const [number, command] = numberIn(bytes)
    if (number > 0) return this.#applyTo(number, command, context)
    const before = this.#applied.length
    const results: unknown[] = []
    for (let rest = command; rest.length > 0; ) {
      const [length, from] = numberIn(rest)
      const [part, own] = numberIn(from.subarray(0, length))
      rest = from.subarray(length)
      const result = this.#applyTo(part, own, context)
      if (result === REFUSED) {
        this.#goBackTo(before)
        return REFUSED
      }
      results.push(result)
    }
    return results
  }

  digest(timeMs: number, signature: string): string {
    return this.#digest((name) => textOf(this.#models[name]!.digest(timeMs, signature)))
  }

  digestOf(machine: ComposedMachine<P>, timeMs: number, signature: string): string {
    const digest = this.#digest((name) =>
      this.#models[name]!.digestOf(machine.parts[name] as never, timeMs, signature),
    )
    const wrong = this.#wrongItem(machine)
    return wrong === undefined ? digest : `${digest}, but ${wrong}`
  }

  sizeOf(machine: ComposedMachine<P>): number {
    const sizes = this.#names.map((name) => this.#models[name]!.sizeOf?.(machine.parts[name] as never) ?? 1)
    return sizes.reduce((sum, size) => sum + size, 0)
  }

  explain(machine: ComposedMachine<P>, timeMs: number, signature: string): string[] {
    const lines = this.#names.flatMap((name) =>
      (this.#models[name]!.explain?.(machine.parts[name] as never, timeMs, signature) ?? []).map(
        (line) => `${name}: ${line}`,
      ),
    )
    const wrong = this.#wrongItem(machine)
    return wrong === undefined ? lines : [...lines, wrong]
  }

  #applyTo(number: number, command: Uint8Array, context: CommandContext): unknown {
    const part = this.#names[number - 1]!
    const result = this.#models[part]!.apply(command, context)
    // Nothing is to be told from the log's own buffer, which may be used again.
    if (result !== REFUSED) this.#applied.push({ part, command: new Uint8Array(command), context })
    return result
  }

  #goBackTo(count: number): void {
    this.#applied.length = count
    this.#models = this.#fresh()
    for (const { part, command, context } of this.#applied) this.#models[part]!.apply(command, context)
  }

  #digest(digestOf: (name: string) => string): string {
    return this.#names.map((name) => `${name}: ${digestOf(name)}`).join('; ')
  }

  /** How the composition's own items are not a header and the items of its parts. */
  #wrongItem(machine: ComposedMachine<P>): string | undefined {
    const items = itemsOf(machine)
    const parts = this.#names.map((name) => itemsOf(machine.parts[name]!))
    const header = Buffer.concat(parts.map(({ length }) => uvarint(length)))
    const expected = [header.toString('hex'), ...parts.flat()]
    const wrong = expected.findIndex((item, i) => item !== items[i])
    if (wrong === -1 && expected.length === items.length) return undefined
    return `of ${items.length} items, which should be ${expected.length}, item ${wrong} is not what its part has`
  }
}

function textOf(digest: Digest): string {
  return typeof digest === 'string' ? digest : digest()
}

function itemsOf(machine: Parts[string]): string[] {
  const snapshot = machine.capture(machine.signature)
  const items = Array.from(snapshot.items(), (item) => Buffer.from(item).toString('hex'))
  snapshot.release()
  return items
}

/** The number at the beginning, seven bits in a byte, and what follows it. */
function numberIn(bytes: Uint8Array): [number: number, rest: Uint8Array] {
  const last = bytes.findIndex((byte) => byte < 128)
  const digits = bytes.subarray(0, last + 1).toReversed()
  return [digits.reduce((value, byte) => value * 128 + (byte % 128), 0), bytes.subarray(last + 1)]
}

function uvarint(value: number): Uint8Array {
  return value < 128
    ? Uint8Array.of(value)
    : Uint8Array.of(128 + (value % 128), ...uvarint(Math.floor(value / 128)))
}
