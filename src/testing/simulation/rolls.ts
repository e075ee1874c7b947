import type { Chance } from './chance.ts'
import type { Settings, Step } from './step.ts'

/** Rolls of the whole group in a run. */
const ROLLS_MAX = 2
/** How long a process is away while it is replaced, in milliseconds. */
const AWAY_MS = [0, 50, 500, 2_000]
/** How long a process is paused while the others go over, in milliseconds: longer than any lease. */
const UNHEARD_MS = 8_000
/** The last node, which is no permanent one. */
const JOINER = 6

/** How the group goes over to a newer version. Some keep the log, so that whoever comes replays all versions. */
export function drawUpgrade(chance: Chance): Partial<Settings> {
  const upgradeAfterMs = chance.pick([0, 0, 300, 1_000, 3_000, 'manual'] as const)
  const isKept = chance.happens(0.3)
  return { upgradeAfterMs, ...(isKept && { keepEntries: undefined, snapshotAfter: 100_000 }) }
}

/** Which version each node begins with: mostly all with one, sometimes two that follow each other. */
export function drawPrograms(
  chance: Chance,
  { nodes, versions }: { readonly nodes: number; readonly versions: number },
): number[] {
  const first = chance.happens(0.5) ? 0 : chance.integer(0, versions - 1)
  const isMixed = chance.happens(0.3)
  return Array.from({ length: nodes }, () => {
    const next = chance.integer(0, 1)
    return isMixed ? Math.min(first + next, versions - 1) : first
  })
}

interface Rolling {
  readonly settings: Settings
  readonly versions: number
  readonly programs: readonly number[]
  readonly durationMs: number
}

/**
 * The group rolls to a newer version, and perhaps to another one later. Beside that, single replicas get any version.
 */
export function drawRolls(chance: Chance, rolling: Rolling): Step[] {
  const { versions, programs, durationMs } = rolling
  const steps: Step[] = []
  const rolls = chance.integer(1, ROLLS_MAX)
  let to = Math.max(...programs)
  for (let roll = 0; roll < rolls && to < versions - 1; roll++) {
    to = chance.integer(to + 1, versions - 1)
    const beginMs = (durationMs / rolls) * (roll + chance.next() / 2)
    steps.push(...drawRoll(chance, rolling, { to, beginMs }))
  }
  for (let odd = chance.integer(0, 3); odd > 0; odd--) {
    const node = chance.integer(0, programs.length - 1)
    const forMs = chance.pick(AWAY_MS)
    steps.push({
      atMs: chance.integer(0, durationMs),
      do: 'roll',
      node,
      to: chance.integer(0, versions - 1),
      killed: chance.happens(0.3),
      forMs,
    })
  }
  return steps.map((step) => ({ ...step, atMs: Math.min(durationMs, Math.floor(step.atMs)) }))
}

/** One replica after the other. Perhaps some are left behind, and then the group does not go over. */
function drawRoll(
  chance: Chance,
  { settings, programs, versions }: Rolling,
  { to, beginMs }: { readonly to: number; readonly beginMs: number },
): Step[] {
  const { replicas } = settings
  const everyMs = chance.pick([0, 100, 500])
  const forMs = chance.pick(AWAY_MS)
  const leftBehind = chance.happens(0.6) ? 0 : 0.2
  const steps: Step[] = []
  for (let node = 0; node < programs.length; node++) {
    // Joiners are there for a short while, and have the version of the day.
    const atMs = beginMs + (node < replicas ? everyMs * node : 0)
    const killed = chance.happens(0.3)
    if (!chance.happens(leftBehind)) steps.push({ atMs, do: 'roll', node, to, killed, forMs })
    // The others take it for gone, and do not wait for it.
    else if (chance.happens(0.7)) steps.push({ atMs: beginMs, do: 'pause', node, forMs: UNHEARD_MS })
  }
  const endMs = beginMs + everyMs * (replicas - 1) + forMs
  if (chance.happens(0.7))
    steps.push(...drawNewcomer(chance, { to, dueMs: endMs + afterMsOf(settings), versions }))
  if (chance.happens(0.6)) steps.push(...drawRace(chance, settings, endMs))
  else if (settings.upgradeAfterMs === 'manual' || chance.happens(0.3))
    steps.push({ atMs: endMs + chance.integer(0, 3_000), do: 'upgrade', node: 0 })
  return steps
}

/** Somebody without a state comes once the group went over, perhaps with a version that is newer still. */
function drawNewcomer(
  chance: Chance,
  { to, dueMs, versions }: { readonly to: number; readonly dueMs: number; readonly versions: number },
): Step[] {
  const program = chance.integer(Math.max(to, versions - 2), versions - 1)
  const atMs = dueMs + chance.pick([500, 2_000])
  return [
    { atMs, do: 'roll', node: JOINER, to: program, killed: true, forMs: 0 },
    { atMs, do: 'wipe', node: JOINER, forMs: 0 },
  ]
}

/** While the group goes over, others write, mark, join, and ask for it once more; and the log is read late. */
function drawRace(chance: Chance, { replicas, upgradeAfterMs, latencyMs }: Settings, endMs: number): Step[] {
  const afterMs = afterMsOf({ upgradeAfterMs })
  const steps: Step[] = []
  const delayMs = chance.pick([0, 20, 100, 300])
  for (let node = 0; delayMs > 0 && node < replicas; node++)
    steps.push({ atMs: endMs - 100, do: 'log-slow', node, delayMs, forMs: afterMs + 2_000 })
  for (let count = chance.integer(4, 12); count > 0; count--) {
    const atMs = endMs + chance.integer(-100, afterMs + 1_000 + 4 * latencyMs)
    const node = chance.integer(0, replicas - 1)
    const deed = chance.weighted({ write: 3, mark: 4, upgrade: 2, join: 2 })
    if (deed === 'write') steps.push({ atMs, do: deed, node, count: chance.integer(1, 5) })
    else if (deed === 'join')
      steps.push({ atMs, do: deed, node: chance.integer(replicas, JOINER), forMs: 1_000 })
    else steps.push({ atMs, do: deed, node })
    // Two operators: the second one asks before the first one is answered.
    if (deed === 'upgrade') steps.push({ atMs: atMs + chance.pick([0, 1, 20]), do: deed, node })
  }
  return steps
}

/** How long after the last replica the group goes over, about. */
function afterMsOf({ upgradeAfterMs }: Pick<Settings, 'upgradeAfterMs'>): number {
  return typeof upgradeAfterMs === 'number' ? upgradeAfterMs : 500
}
