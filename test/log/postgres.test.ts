import { describe } from 'vitest'
import { conformance } from './conformance.ts'
import { postgresHarness } from './postgres-harness.ts'

const url = process.env.POSTGRES_URL

describe.skipIf(url === undefined)('one server', () => {
  conformance(
    'postgresLog',
    postgresHarness(() => url!, '/usr/lib/postgresql/15/bin'),
  )
})
