import type { Plan, Settings, Step } from './plan.ts'
import type { Outcome } from './run.ts'

export interface Shrunk {
  readonly plan: Plan
  readonly outcome: Outcome
}

/** What the simplest world is like. */
const PLAIN: Partial<Settings> = { drift: 0, jitterMs: 0, diskMs: 0, lookMs: 0, latencyMs: 0.5 }

/**
 * Find a smaller plan that breaks the same promise: with fewer steps (delta debugging, A. Zeller and R.
 * Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002), fewer replicas, and a plainer
 * world.
 *
 * @param run does a plan
 * @param runsMax how many plans may be tried
 */
export async function shrink(
  plan: Plan,
  outcome: Outcome,
  run: (plan: Plan) => Promise<Outcome>,
  runsMax: number,
): Promise<Shrunk> {
  let best = { plan, outcome }
  let runs = 0
  const isSmaller = async (candidate: Plan) => {
    if (runs >= runsMax) return false
    runs++
    const tried = await run(candidate)
    if (tried.failure?.promise !== outcome.failure?.promise) return false
    best = { plan: candidate, outcome: tried }
    return true
  }
  const withSettings = (settings: Partial<Settings>) => ({
    ...best.plan,
    settings: { ...best.plan.settings, ...settings },
  })

  await isSmaller(withSettings(PLAIN))
  for (let pieces = 2; best.plan.steps.length > 0 && runs < runsMax; ) {
    const { steps } = best.plan
    const size = Math.ceil(steps.length / pieces)
    let isFound = false
    for (let from = 0; from < steps.length && !isFound; from += size) {
      const rest: Step[] = [...steps.slice(0, from), ...steps.slice(from + size)]
      isFound = await isSmaller({ ...best.plan, steps: rest })
    }
    if (isFound) pieces = Math.max(2, pieces - 1)
    else if (size === 1) break
    else pieces = Math.min(steps.length, pieces * 2)
  }
  while (best.plan.settings.replicas > 1) {
    if (!(await isSmaller(withSettings({ replicas: best.plan.settings.replicas - 1 })))) break
  }
  return best
}
