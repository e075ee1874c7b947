import { ReplicatedOnce } from '../../../machines/once/replicated-once.ts'
import { OnceModel } from '../oracle/once-model.ts'
import type { Workload } from '../workload.ts'

/**
 * All replicas try to be the first, amid the trouble: nothing is written before. Whoever is told who won knows the
 * value, and that it stays.
 */
export const onceWorkload: Workload<ReplicatedOnce<string>> = {
  name: 'once',
  machine: () => new ReplicatedOnce<string>(),
  model: () => new OnceModel<string>(),
  chunkBytes: 64,
  filled: 0,
  async write({ machine: once, tag }) {
    const written = await once.set(tag)
    const value = await once.whenSet()
    if (written.result?.won !== (value === tag))
      throw new Error(`${tag} was told ${JSON.stringify(written.result)}, and the value is ${value}`)
    return written
  },
}
