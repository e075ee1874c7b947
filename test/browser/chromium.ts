import { existsSync } from 'node:fs'
import { describeInstalled } from '../log/installed.ts'
import { CHROMIUM } from './tab.ts'

/** CI sets it: a missing browser is then a failure. */
const REQUIRED = process.env.REQUIRE_BROWSER === '1'

/** Tests that need Chromium. If it is missing, they are skipped with a message, or fail if it is required. */
export function describeBrowser(name: string, tests: () => void): void {
  describeInstalled('chromium', existsSync(CHROMIUM) || REQUIRED, name, tests)
}
