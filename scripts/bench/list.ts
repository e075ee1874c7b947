import { Child } from './child.ts'
import type { InsertsMethods, Make, Where } from './list/inserts.ts'
import { type Benchmark, type Pair, pairs } from './runner.ts'

const ITEMS = 1_000_000

/** The rates of both makes, each in a process of its own. */
async function inserts(where: Where, scale: number, wanted: number): Promise<Pair[]> {
  const measureIn = async (make: Make) => {
    await using child = new Child<InsertsMethods>(new URL('./list/inserts.ts', import.meta.url))
    return await child.call('measure', make, where, Math.ceil(ITEMS * scale))
  }
  return await pairs(
    { warmUps: 0, counted: wanted, garbage: 'minor' },
    { ours: () => measureIn('replicated'), baseline: () => measureIn('array') },
  )
}

/** What an insertion into a list costs in processor time: applying the command, beside an array's `splice`. */
export const lists: readonly Benchmark[] = [
  {
    name: 'list/insert-middle',
    unit: 'items/CPU s',
    baseline: 'splice into the middle of an array',
    target: { ratioMin: 20 },
    measure: (scale, wanted) => inserts('middle', scale, wanted),
  },
  {
    name: 'list/insert-anywhere',
    unit: 'items/CPU s',
    baseline: 'splice into an array at random indexes',
    measure: (scale, wanted) => inserts('anywhere', scale, wanted),
  },
]
