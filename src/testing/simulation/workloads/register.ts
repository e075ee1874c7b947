import { ReplicatedRegister } from '../../../machines/register/replicated-register.ts'
import type { Chance } from '../chance.ts'
import { RegisterModel } from '../oracle/register-model.ts'
import type { Workload } from '../workload.ts'

const ttlOf = (chance: Chance) => chance.pick([1, 100, 1_000, 5_000, 60_000])

/** A register for which all replicas compete. */
export const registerWorkload: Workload<ReplicatedRegister<string>> = {
  name: 'register',
  machine: () => new ReplicatedRegister<string>(),
  model: () => new RegisterModel<string>(),
  chunkBytes: 64,
  write({ machine: register, chance, tag }) {
    const deed = chance.weighted({ set: 25, ttl: 25, compareAndSet: 30, persist: 10, clear: 10 })
    switch (deed) {
      case 'set':
        return register.set(tag)
      case 'ttl':
        return register.set(tag, { ttlMs: ttlOf(chance) })
      case 'compareAndSet': {
        // What this replica has, which may be old by the time that the write is applied.
        const expected = chance.happens(0.8) ? currentOf(register) : tag
        const value = chance.happens(0.9) ? tag : undefined
        const ttl = value !== undefined && chance.happens(0.4) ? { ttlMs: ttlOf(chance) } : {}
        return register.compareAndSet(expected, value, ttl)
      }
      case 'persist':
        return register.persist()
      case 'clear':
        return register.clear()
      default:
        return deed satisfies never
    }
  },
}

/** Undefined, too, on a replica that cannot be read yet. */
function currentOf(register: ReplicatedRegister<string>): string | undefined {
  try {
    return register.get()
  } catch {
    return undefined
  }
}
