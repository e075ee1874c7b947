import type { Plan } from './plan.ts'
import type { Outcome } from './run.ts'

/**
 * A failed run in words: what broke, how to repeat it, what was done to the group, and what happened last.
 */
export function describe(plan: Plan, { failure, timeline }: Outcome, command: string): string {
  const { steps, settings, seed, programs } = plan
  const lines = [
    `seed ${seed} breaks a promise after ${seconds(failure?.atMs ?? 0)}: ${failure?.message}`,
    '',
    `Repeat it: ${command}`,
    '',
    `The smallest plan that was found: ${settings.replicas} replicas, ${steps.length} steps`,
    `  ${Object.entries(settings)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')}`,
    ...(programs === undefined ? [] : [`  programs ${programs.join(' ')}`]),
    ...steps.map(
      ({ atMs, ...step }) =>
        `  ${seconds(atMs)} ${Object.entries(step)
          .map(([k, v]) => `${k} ${v}`)
          .join(', ')}`,
    ),
    '',
    'What happened last:',
    ...timeline.map(({ atMs, who, what }) => `  ${seconds(atMs)} ${who.padEnd(8)} ${what}`),
  ]
  return lines.join('\n')
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(3)} s`
}
