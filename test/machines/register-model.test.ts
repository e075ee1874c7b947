import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Items } from '../../src/machine/items.ts'
import { ReplicatedRegister } from '../../src/machines/register/replicated-register.ts'

/** The value, and when it dies. */
interface Held {
  readonly value: number
  readonly deadlineMs: number
}

class Model {
  held: Held | undefined

  bury(timeMs: number): void {
    if (this.held !== undefined && this.held.deadlineMs <= timeMs) this.held = undefined
  }
}

interface Step {
  command(register: ReplicatedRegister<number>): Uint8Array
  apply(model: Model, timeMs: number): unknown
}

const values = fc.nat(2)
const optional = fc.option(values, { nil: undefined })
const ttls = fc.option(fc.constantFrom(1, 10, 50), { nil: undefined })
const held = (value: number, timeMs: number, ttlMs: number | undefined): Held => ({
  value,
  deadlineMs: timeMs + (ttlMs ?? Infinity),
})

const set: fc.Arbitrary<Step> = fc.tuple(values, ttls).map(([value, ttlMs]) => ({
  command: (register) => register.commands.set(value, { ttlMs }),
  apply(model, timeMs) {
    const replaced = model.held !== undefined
    model.held = held(value, timeMs, ttlMs)
    return { replaced }
  },
}))

const compareAndSet: fc.Arbitrary<Step> = fc.tuple(optional, optional, ttls).map(([expected, value, ttl]) => {
  const ttlMs = value === undefined ? undefined : ttl
  return {
    command: (register) => register.commands.compareAndSet(expected, value, { ttlMs }),
    apply(model, timeMs) {
      if (model.held?.value !== expected) return false
      model.held = value === undefined ? undefined : held(value, timeMs, ttlMs)
      return true
    },
  }
})

const clear: fc.Arbitrary<Step> = fc.constant({
  command: (register) => register.commands.clear(),
  apply(model) {
    const wasThere = model.held !== undefined
    model.held = undefined
    return wasThere
  },
})

const persist: fc.Arbitrary<Step> = fc.constant({
  command: (register) => register.commands.persist(),
  apply(model) {
    if (model.held === undefined || model.held.deadlineMs === Infinity) return false
    model.held = { value: model.held.value, deadlineMs: Infinity }
    return true
  },
})

const steps = fc.array(
  fc.tuple(fc.oneof(set, compareAndSet, clear, persist), fc.constantFrom(0, 0, 1, 9, 30), fc.boolean()),
  { maxLength: 60, size: 'max' },
)

test('a register behaves as a variable whose value dies, through installs and transactions that are undone', () => {
  fc.assert(
    fc.property(steps, (run) => {
      let register = new ReplicatedRegister<number>()
      const model = new Model()
      let timeMs = 1_000
      for (const [step, passesMs, isTwice] of run) {
        timeMs += passesMs
        model.bury(timeMs)
        if (isTwice) {
          register.advance(timeMs)
          register.transaction?.begin()
          register.apply(step.command(register), { timeMs })
          register.transaction?.rollback()
        }
        expect(register.apply(step.command(register), { timeMs })).toEqual(step.apply(model, timeMs))
        if (isTwice) {
          const joiner = new ReplicatedRegister<number>()
          const installation = joiner.install()
          for (const item of register.capture().items()) installation.add(Items.of(item))
          installation.commit()
          joiner.advance(timeMs)
          register = joiner
        }
        const ttlMs = model.held && model.held.deadlineMs - timeMs
        expect([register.get(), register.ttl(), register.isSet]).toEqual([
          model.held?.value,
          ttlMs,
          model.held !== undefined,
        ])
        expect([...register.capture().items()]).toHaveLength(model.held === undefined ? 0 : 1)
      }
    }),
    { numRuns: 300 },
  )
})
