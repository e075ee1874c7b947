import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect } from 'vitest'

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

/** What is in use once nothing more can be given back: buffers go with the collection after that of their owners. */
async function memoryBytes(): Promise<number> {
  for (let n = 0; n < 3; n++) {
    collectGarbage()
    await nextTurn()
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/**
 * Do something that should leave no trace: no rejection that nobody handles, and no more memory in use than so many bytes. What
 * is made once and kept belongs before it.
 */
export async function unharmed(growthBytesMax: number, work: () => Promise<void>): Promise<number> {
  const rejections: unknown[] = []
  const onRejection = (reason: unknown) => rejections.push(reason)
  process.on('unhandledRejection', onRejection)
  try {
    const before = await memoryBytes()
    await work()
    const growthBytes = (await memoryBytes()) - before
    expect(rejections).toEqual([])
    expect(growthBytes).toBeLessThan(growthBytesMax)
    return growthBytes
  } finally {
    process.off('unhandledRejection', onRejection)
  }
}
