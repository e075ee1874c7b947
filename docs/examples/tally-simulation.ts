import { simulate, type Workload } from 'anchorage/testing'
import { encode, Tally } from './tally.ts'

/** What the replicas of a simulated group write to their tallies. */
const tallies: Workload<Tally> = {
  name: 'tally',
  machine: () => new Tally(),
  write: ({ submit, chance }) => submit(encode([chance.pick(['apples', 'pears']), chance.integer(-2, 5)])),
}

/**
 * Run groups of tallies from these seeds. Rejects with all that is known of the first one that breaks a
 * promise.
 */
export async function simulateTallies(seeds: number): Promise<number> {
  let entries = 0
  for (let seed = 0; seed < seeds; seed++) {
    const report = await simulate({ seed, workload: tallies, command: `simulateTallies(${seed + 1})` })
    entries += report.entries
  }
  return entries
}
