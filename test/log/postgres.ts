import { findPostgres } from '../../src/processes/postgres-server.ts'
import { describeInstalled } from './installed.ts'

/** CI sets it: a missing server is then a failure. */
const REQUIRED = process.env.REQUIRE_POSTGRES === '1'

/**
 * Tests that need PostgreSQL. If it is missing, they are skipped with a message, or fail if it is required.
 */
export function describePostgres(name: string, tests: () => void): void {
  describeInstalled('PostgreSQL', findPostgres() !== undefined || REQUIRED, name, tests)
}
