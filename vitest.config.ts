import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { findPostgres } from './src/processes/postgres-server.ts'
import { ENTRY_POINTS } from './test/setup/entry-points.ts'
import { faultsEnv } from './test/setup/process-faults.ts'

/** Commands and programs, which start, say something and end: two files at a time, after the others. */
const COMMANDS = [
  'test/cli/**/*.test.ts',
  'test/docs/{examples,getting-started,job-queue,readme,session-store}.test.ts',
]

/**
 * Groups of processes of which some are killed or stand still, while others wait for them for some seconds. These want
 * the machine to themselves: one file at a time.
 */
const PROCESSES = [
  'test/cluster/**/*.test.ts',
  'test/compatibility/**/*.test.ts',
  'test/testing/**/*.test.ts',
]

/** These drive the live page in Chromium, after all others. */
const BROWSER = 'test/browser/**/*.test.ts'

/** Tests of catching up, which run on a log in PostgreSQL as well as on a file: `test/cluster/start.ts`. */
const ON_EACH_LOG = 'test/cluster/{catch-up,checkpoints,crashes,divergence,faults,leader,ttl,upgrade}.test.ts'

const hasPostgres = findPostgres() !== undefined || process.env.REQUIRE_POSTGRES === '1'
if (!hasPostgres) console.warn(`SKIPPED, because PostgreSQL is not installed: ${ON_EACH_LOG} on PostgreSQL`)

/**
 * How many files run at a time. One file of parts keeps a third of two processors busy, one of logs a quarter: they wait
 * for deadlines, and for servers that are killed and elect leaders.
 */
const BY_THREES = { maxWorkers: 3, testTimeout: 120_000, hookTimeout: 60_000 }
const BY_TWOS = { maxWorkers: 2, testTimeout: 360_000, hookTimeout: 180_000 }
const ONE_BY_ONE = { ...BY_TWOS, maxWorkers: 1 }

export default defineConfig({
  // The examples in docs/ import the package by its name, as users do.
  resolve: {
    alias: Array.from(ENTRY_POINTS, ([name, source]) => ({
      find: new RegExp(`^${name}$`),
      replacement: fileURLToPath(source),
    })),
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
          exclude: [...COMMANDS, ...PROCESSES, BROWSER],
          ...BY_THREES,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: 'commands', include: COMMANDS, ...BY_TWOS, sequence: { groupOrder: 1 } },
      },
      {
        extends: true,
        test: { name: 'processes', include: PROCESSES, ...ONE_BY_ONE, sequence: { groupOrder: 2 } },
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
