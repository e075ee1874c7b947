import { cp, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { filesLog } from '../../docs/examples/files-log.ts'
import { conformance } from './conformance.ts'

conformance('the log over files of the docs', {
  lacks: { cutOff: 'a directory has no servers' },
  async make() {
    const folder = await mkdtemp(join(tmpdir(), 'anchorage-files-'))
    const path = join(folder, 'log')
    const backend = () => filesLog(path, { pollMs: 20, maxEntryBytes: 100_000 })
    return {
      backend: backend(),
      reopen: backend,
      async recreate() {
        await rename(path, `${path}.old`)
      },
      async save() {
        await cp(path, `${path}.copy`, { recursive: true })
        return async () => {
          await rename(path, `${path}.newer`)
          await rename(`${path}.copy`, path)
        }
      },
      async dispose() {
        await rm(folder, { recursive: true })
      },
    }
  },
})
