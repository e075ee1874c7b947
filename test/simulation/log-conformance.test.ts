import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterAll, beforeAll } from 'vitest'
import { Life } from '../../src/testing/simulation/life.ts'
import { SimulatedLog } from '../../src/testing/simulation/log.ts'
import { World } from '../../src/testing/simulation/world.ts'
import { conformance } from '../log/conformance.ts'

/** The suite waits for promises, so the worlds of its places go on by themselves, a millisecond a turn. */
let world: World | undefined
let isOver = false
let running: Promise<void>

beforeAll(() => {
  running = (async () => {
    while (!isOver) {
      if (world === undefined || !(await world.step(world.nowMs + 1))) await nextTurn()
    }
  })()
})

afterAll(async () => {
  isOver = true
  await running
})

for (const kind of ['local', 'service'] as const) {
  for (const backMs of [0, 0.5]) {
    conformance(`a simulated ${kind} log, ${backMs} ms away`, {
      lacks: { cutOff: 'its scenes cut it off, in virtual time: see test/simulation/log.test.ts' },
      async make() {
        const here = new World(1)
        world = here
        const log = new SimulatedLog(here, { kind, maxEntryBytes: 100_000, wallMs: () => Date.now() })
        log.setLatency({ thereMs: backMs, backMs, jitterMs: backMs })
        let lives = 0
        const reopen = () => log.backendFor(new Life(here, `a#${++lives}`), 'a')
        return {
          backend: reopen(),
          reopen,
          async recreate() {
            log.recreate()
          },
          async save() {
            const newest = log.record.entries.length
            return async () => log.rewind(newest)
          },
          async dispose() {
            world = undefined
          },
        }
      },
    })
  }
}
