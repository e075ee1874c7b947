import { Child } from './child.ts'
import type { PopsMethods } from './queue/pops.ts'
import { type Benchmark, pairs } from './runner.ts'

const ITEMS = 1_000_000

export const queues: readonly Benchmark[] = [
  {
    name: 'queue/pop',
    unit: 'items/CPU s',
    baseline: 'pop of a binary heap (tinyqueue) with as many items',
    target: { ratioMin: 0.3 },
    async measure(scale, wanted) {
      const measureIn = async (method: keyof PopsMethods) => {
        await using child = new Child<PopsMethods>(new URL('./queue/pops.ts', import.meta.url))
        return await child.call(method, Math.ceil(ITEMS * scale))
      }
      return await pairs(
        { warmUps: 0, counted: wanted, garbage: 'minor' },
        { ours: () => measureIn('queue'), baseline: () => measureIn('heap') },
      )
    },
  },
]
