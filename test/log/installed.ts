import { describe } from 'vitest'

/** Tests that need a program. If they are not to run, they are skipped with a message. */
export function describeInstalled(program: string, run: boolean, name: string, tests: () => void): void {
  if (run) return void describe(name, tests)
  console.warn(`SKIPPED, because ${program} is not installed: ${name}`)
  describe.skip(name, tests)
}
