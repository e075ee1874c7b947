import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll } from 'vitest'
import {
  type Cluster,
  type ClusterInit,
  type Postgres,
  startCluster as startOnFile,
  startPostgres,
} from '../../src/testing/index.ts'

/** Whether the file of tests runs on PostgreSQL this time: `vitest.config.ts` has it run on a SQLite file too. */
export const ON_POSTGRES = process.env.ANCHORAGE_TEST_LOG === 'postgres'

let postgres: Postgres | undefined

if (ON_POSTGRES) {
  beforeAll(async () => {
    postgres = await startPostgres()
  })
  afterAll(() => postgres?.stop())
}

/** Start replicas on a log of their own, of the kind that the tests run on. */
export async function startCluster(init: ClusterInit = {}): Promise<Cluster> {
  if (postgres === undefined) return await startOnFile(init)
  return await startOnFile({ group: randomUUID(), log: postgres.url, ...init })
}
