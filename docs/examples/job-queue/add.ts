/** Adds jobs by their names, all or none: `npx node add.ts paint sweep`. */
import { join, makeState } from './jobs.ts'

const state = makeState()
await using replica = await join(state)
await replica.inSync()
// A name is a job's key. One that waits or is done is not added again.
const names = process.argv.slice(2).filter((name) => !state.jobs.has(name) && !state.results.has(name))
const addedMs = Date.now()
const { result } = await state.jobs.extend(names.map((name) => [0, name, { addedMs }] as const))
console.log(`added ${result?.added ?? 0} jobs`)
