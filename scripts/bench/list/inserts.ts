import { bytesCodec } from '../../../src/index.ts'
import { ReplicatedList } from '../../../src/machines/index.ts'
import { randomValue } from '../capture/map.ts'
import { serveCalls } from '../child.ts'
import { collectGarbage } from '../runner.ts'
import { CpuTime } from '../state/cpu-time.ts'

/** A process that inserts into a list of one make. */

export type Make = 'replicated' | 'array'
/** Where: always in the middle, where memory was just used, or at a random index. */
export type Where = 'middle' | 'anywhere'

const MS_PER_S = 1_000
/** Items of one command of a load. */
const LOAD_ITEMS = 1_000
/** Insertions that are made at a time. Their indexes and values come from between two measured spans. */
const BATCH = 500
/** An array takes a hundred times as long, so it does fewer. */
const BATCHES: Readonly<Record<Make, number>> = { replicated: 100, array: 5 }
const WARM_UP_BATCHES = 2

interface Insertion {
  readonly index: number
  readonly value: Uint8Array
}

/** Makes insertions of a batch what one make takes, and then does them. */
interface Subject {
  prepare(batch: readonly Insertion[]): () => void
  readonly length: number
}

const methods = {
  /** Insertions per second of processor time. */
  measure(make: Make, where: Where, items: number): number {
    const subject = make === 'array' ? arrayOf(items) : listOf(items)
    const time = new CpuTime()
    collectGarbage({ type: 'major' })
    for (let n = 0; n < WARM_UP_BATCHES; n++) subject.prepare(batchFor(subject.length, where))()
    const before = subject.length
    for (let n = 0; n < BATCHES[make]; n++) {
      const work = subject.prepare(batchFor(subject.length, where))
      time.measure(work)
    }
    const inserted = BATCHES[make] * BATCH
    if (subject.length !== before + inserted) throw new Error(`${subject.length - before} were inserted`)
    return (inserted * MS_PER_S) / time.ms
  },
}
export type InsertsMethods = typeof methods

serveCalls(methods, () => {})

function batchFor(length: number, where: Where): Insertion[] {
  return Array.from({ length: BATCH }, () => ({
    index: where === 'middle' ? length >> 1 : Math.floor(Math.random() * length),
    value: Uint8Array.from(randomValue()),
  }))
}

/** A list that applies commands which were read from a log. */
function listOf(items: number): Subject {
  const list = new ReplicatedList({ values: bytesCodec })
  for (let left = items; left > 0; left -= LOAD_ITEMS) {
    const length = Math.min(left, LOAD_ITEMS)
    list.apply(list.commands.pushMany(Array.from({ length }, randomValue)))
  }
  return {
    prepare(batch) {
      const commands = batch.map(({ index, value }) => list.commands.insert(index, value))
      return () => {
        for (const command of commands) list.apply(command)
      }
    },
    get length() {
      return list.length
    },
  }
}

function arrayOf(items: number): Subject {
  const array: Uint8Array[] = Array.from({ length: items }, () => Uint8Array.from(randomValue()))
  return {
    prepare: (batch) => () => {
      for (const { index, value } of batch) array.splice(index, 0, value)
    },
    get length() {
      return array.length
    },
  }
}
