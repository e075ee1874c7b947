import test from 'node:test'
import { logConformance } from 'anchorage/testing/log'
import { arrayLog } from './array-log.ts'

const harness = {
  lacks: { recreate: 'it is an array', save: 'it is an array', cutOff: 'it has no servers' },
  async make() {
    const backend = arrayLog({ maxEntryBytes: 100_000 })
    return { backend, reopen: () => backend, async dispose() {} }
  },
}

for (const { name, skip, run } of logConformance(harness)) test(name, { skip }, run)
