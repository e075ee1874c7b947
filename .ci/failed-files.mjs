// Prints the files whose tests failed, from Vitest's report. Fails if there are none, or too many to be bad luck.
import { readFileSync } from 'node:fs'
import { relative } from 'node:path'

const FILES_MAX = 5

const { testResults } = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const failed = new Set(
  testResults.filter(({ status }) => status === 'failed').map(({ name }) => relative(process.cwd(), name)),
)
if (failed.size === 0 || failed.size > FILES_MAX) {
  console.error(`${failed.size} files of tests failed: they are not run again`)
  process.exit(1)
}
console.log([...failed].join('\n'))
