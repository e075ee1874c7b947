import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { findPostgres } from './src/processes/postgres-server.ts'
import { faultsEnv } from './test/setup/process-faults.ts'

/** These start processes of their own: two files at a time, after the others. */
const PROCESSES = [
  'test/cli/**/*.test.ts',
  'test/cluster/**/*.test.ts',
  'test/compatibility/**/*.test.ts',
  'test/docs/getting-started.test.ts',
  'test/testing/**/*.test.ts',
]

/** These drive the live page in Chromium, after all others. */
const BROWSER = 'test/browser/**/*.test.ts'

/** Tests of catching up, which run on a log in PostgreSQL as well as on a file: `test/cluster/start.ts`. */
const ON_EACH_LOG = 'test/cluster/{catch-up,checkpoints,crashes,divergence,faults,leader,ttl,upgrade}.test.ts'

const hasPostgres = findPostgres() !== undefined || process.env.REQUIRE_POSTGRES === '1'
if (!hasPostgres) console.warn(`SKIPPED, because PostgreSQL is not installed: ${ON_EACH_LOG} on PostgreSQL`)

/**
 * Of two processors, tests of parts use a third one file at a time, those of logs a quarter: they wait for servers that are
 * killed and elect leaders, and for deadlines. Processes use more.
 */
const PARTS = { maxWorkers: 3, testTimeout: 120_000, hookTimeout: 60_000 }
const BY_TWOS = { maxWorkers: 2, testTimeout: 360_000, hookTimeout: 180_000 }

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
          name: 'parts',
          include: ['test/**/*.test.ts'],
          exclude: [...PROCESSES, BROWSER],
          ...PARTS,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: 'processes', include: PROCESSES, ...BY_TWOS, sequence: { groupOrder: 1 } },
      },
      ...(hasPostgres
        ? [
            {
              extends: true as const,
              test: {
                name: 'processes on PostgreSQL',
                include: [ON_EACH_LOG],
                env: { ANCHORAGE_TEST_LOG: 'postgres' },
                ...BY_TWOS,
                sequence: { groupOrder: 1 },
              },
            },
          ]
        : []),
      {
        extends: true,
        test: {
          name: 'browser',
          include: [BROWSER],
          ...BY_TWOS,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
