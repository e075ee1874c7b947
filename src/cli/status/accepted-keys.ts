import { counted } from '../output.ts'

/** Which network keys are accepted, and by how many replicas: undefined if none has one. */
export function acceptedKeys(
  members: readonly { readonly networkKeys?: readonly string[] }[],
): string | undefined {
  const counts = new Map<string, number>()
  for (const name of members.flatMap(({ networkKeys = [] }) => networkKeys))
    counts.set(name, (counts.get(name) ?? 0) + 1)
  if (counts.size === 0) return undefined
  const [first, ...others] = [...counts].sort(([, a], [, b]) => b - a)
  const told = [`${first![0]} of ${counted(first![1], 'replica')}`]
  return [...told, ...others.map(([name, count]) => `${name} of ${count}`)].join(', ')
}
