import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { findPostgres } from './src/processes/postgres-server.ts'
import { faultsEnv } from './test/setup/process-faults.ts'

/**
 * These start processes of their own and want the machine to themselves: one file at a time, after the
 * others.
 */
const PROCESSES = [
  'test/cli/**/*.test.ts',
  'test/cluster/**/*.test.ts',
  'test/compatibility/**/*.test.ts',
  'test/testing/**/*.test.ts',
]

/** Tests of logs wait for servers more than they compute: these are killed, and elect leaders. */
const LOGS = 'test/log/**/*.test.ts'

/** These drive the live page in Chromium, after all others. */
const BROWSER = 'test/browser/**/*.test.ts'

/** Tests of catching up, which run on a log in PostgreSQL as well as on a file: `test/cluster/start.ts`. */
const ON_EACH_LOG = 'test/cluster/{catch-up,checkpoints,crashes,divergence,faults,leader,ttl,upgrade}.test.ts'

const hasPostgres = findPostgres() !== undefined || process.env.REQUIRE_POSTGRES === '1'
if (!hasPostgres) console.warn(`SKIPPED, because PostgreSQL is not installed: ${ON_EACH_LOG} on PostgreSQL`)

/** How tests are run that start processes. */
const ONE_BY_ONE = { fileParallelism: false, testTimeout: 240_000, hookTimeout: 120_000 }

export default defineConfig({
  // The examples in docs/ import the package by its name, as users do.
  resolve: {
    alias: [
      { find: /^anchorage$/, replacement: fileURLToPath(new URL('src/index.ts', import.meta.url)) },
      { find: /^anchorage\/log$/, replacement: fileURLToPath(new URL('src/log/index.ts', import.meta.url)) },
      {
        find: /^anchorage\/machines$/,
        replacement: fileURLToPath(new URL('src/machines/index.ts', import.meta.url)),
      },
      {
        find: /^anchorage\/observe$/,
        replacement: fileURLToPath(new URL('src/observe/index.ts', import.meta.url)),
      },
      {
        find: /^anchorage\/sync$/,
        replacement: fileURLToPath(new URL('src/sync/index.ts', import.meta.url)),
      },
      {
        find: /^anchorage\/testing$/,
        replacement: fileURLToPath(new URL('src/testing/index.ts', import.meta.url)),
      },
      {
        find: /^anchorage\/testing\/log$/,
        replacement: fileURLToPath(new URL('src/testing/log/index.ts', import.meta.url)),
      },
    ],
  },
  test: {
    // A CommonJS module's default import is its `module.exports`, as in Node.
    deps: { interopDefault: false },
    env: faultsEnv(),
    setupFiles: ['test/setup/strict.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'logs',
          include: [LOGS],
          // One more than Vitest takes on two processors, one of which it leaves to itself.
          maxWorkers: 2,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'parts',
          include: ['test/**/*.test.ts'],
          exclude: [...PROCESSES, BROWSER, LOGS],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'processes',
          include: PROCESSES,
          ...ONE_BY_ONE,
          sequence: { groupOrder: 2 },
        },
      },
      ...(hasPostgres
        ? [
            {
              extends: true as const,
              test: {
                name: 'processes on PostgreSQL',
                include: [ON_EACH_LOG],
                env: { ANCHORAGE_TEST_LOG: 'postgres' },
                ...ONE_BY_ONE,
                sequence: { groupOrder: 3 },
              },
            },
          ]
        : []),
      {
        extends: true,
        test: { name: 'browser', include: [BROWSER], ...ONE_BY_ONE, sequence: { groupOrder: 4 } },
      },
    ],
  },
})
