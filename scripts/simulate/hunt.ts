import { availableParallelism } from 'node:os'
import { PLANTED_BUG, PLANTED_BUGS, type PlantedBug } from './planted-bugs.ts'
import { Pool, type Task } from './pool.ts'

/** How a planted bug was found. */
export interface Found {
  readonly bug: PlantedBug
  /** Seeds until the first one that failed, that one included; all of them where none did. */
  readonly seeds: number
  /** The promise that was seen to be broken. Undefined: no seed found it. */
  readonly broke: string | undefined
}

const PLANT = new URL('plant.ts', import.meta.url).href

/**
 * Look for each bug in seeds 0, 1, 2, … until one fails: for one bug on each core at a time.
 *
 * @param seedsMax how many seeds each bug gets
 * @param onFound told of each bug when it is found, or was not
 */
export async function hunt(
  bugs: readonly PlantedBug[],
  seedsMax: number,
  onFound: (found: Found) => void,
): Promise<Found[]> {
  const found: Found[] = []
  const left = [...bugs]
  const hunter = async () => {
    for (let bug = left.shift(); bug !== undefined; bug = left.shift()) {
      const one = await huntFor(bug, seedsMax)
      found.push(one)
      onFound(one)
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, hunter))
  return PLANTED_BUGS.flatMap((bug) => found.filter((one) => one.bug === bug))
}

async function huntFor(bug: PlantedBug, seedsMax: number): Promise<Found> {
  using pool = new Pool(1, {
    execArgv: ['--import', PLANT],
    env: { ...process.env, [PLANTED_BUG]: bug.name },
  })
  let seeds = 0
  let broke: string | undefined
  const next = (): Task | undefined => {
    if (broke !== undefined || seeds >= seedsMax) return undefined
    const workload = bug.workload ?? 'map'
    return { seed: seeds++, workload, plan: 'trouble', shrinkRuns: 0, command: '' }
  }
  await pool.run(next, ({ failure }) => {
    // Anything else, such as an error of the simulator's own, has not found it.
    if (failure !== undefined && failure.promise !== 'none') broke = failure.promise
  })
  return { bug, seeds, broke }
}

/** A table in Markdown of what was found, and after how many seeds. */
export function huntTable(found: readonly Found[]): string {
  const rows = found.map(
    ({ bug, seeds, broke }) => `| ${bug.name} | ${bug.promise} | ${seeds} | ${broke ?? 'not found'} |`,
  )
  return ['| planted bug | breaks | seeds | seen as |', '| --- | --- | --- | --- |', ...rows].join('\n')
}
