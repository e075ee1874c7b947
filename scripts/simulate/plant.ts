import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import { edited, PLANTED_BUG, PLANTED_BUGS, type PlantedBug, sourceOf } from './planted-bugs.ts'

/**
 * Loaded by `node --import` before anything else: a file of the source is edited as it is loaded, and is as
 * it was on the disk.
 */
const name = process.env[PLANTED_BUG]
if (name !== undefined) {
  const bug = PLANTED_BUGS.find((one) => one.name === name)
  if (bug === undefined) {
    console.error(`there is no planted bug "${name}"`)
    process.exit(2)
  }
  plant(bug)
}

function plant(bug: PlantedBug): void {
  const { href } = sourceOf(bug)
  registerHooks({
    load(url, context, nextLoad) {
      if (url !== href) return nextLoad(url, context)
      const source = edited(bug, readFileSync(fileURLToPath(url), 'utf8'))
      return { format: 'module-typescript', shortCircuit: true, source }
    },
  })
}
