import type { Chance } from './chance.ts'
import type { Settings, Step } from './step.ts'

/** A roll to this, and not all at once, is what operators do most. */
const ROLLS_MAX = 2

/** How the group goes over to a newer version. */
export function drawUpgrade(chance: Chance): Pick<Settings, 'upgradeAfterMs'> {
  return { upgradeAfterMs: chance.pick([0, 0, 300, 1_000, 3_000, 'manual']) }
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
 * The group rolls to a newer version, one replica after the other, perhaps to another one later, and perhaps some
 * are left behind. Beside that, single replicas get any version.
 */
export function drawRolls(chance: Chance, { settings, versions, programs, durationMs }: Rolling): Step[] {
  const steps: Step[] = []
  const { length: nodes } = programs
  const away = () => ({ killed: chance.happens(0.3), forMs: chance.pick([0, 50, 500, 2_000]) })
  const rolls = chance.integer(1, ROLLS_MAX)
  let to = Math.max(...programs)
  for (let roll = 0; roll < rolls && to < versions - 1; roll++) {
    to = chance.integer(to + 1, versions - 1)
    const beginMs = (durationMs / rolls) * (roll + chance.next() / 2)
    const everyMs = chance.pick([0, 100, 500, 1_000])
    for (let node = 0; node < nodes; node++) {
      const isLeftBehind = chance.happens(node < settings.replicas ? 0.1 : 0.3)
      const atMs = Math.min(durationMs, Math.floor(beginMs + everyMs * node))
      const step = { atMs, do: 'roll', node, to, ...away() } as const
      if (!isLeftBehind) steps.push(step)
    }
    if (chance.happens(0.3) || settings.upgradeAfterMs === 'manual') {
      const atMs = Math.min(durationMs, Math.floor(beginMs + everyMs * nodes + chance.integer(0, 3_000)))
      steps.push({ atMs, do: 'upgrade', node: chance.integer(0, settings.replicas - 1) })
    }
  }
  for (let odd = chance.integer(0, 4); odd > 0; odd--) {
    const node = chance.integer(0, nodes - 1)
    const atMs = chance.integer(0, durationMs)
    steps.push({ atMs, do: 'roll', node, to: chance.integer(0, versions - 1), ...away() })
  }
  return steps
}
