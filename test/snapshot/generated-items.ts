/**
 * Items that any program can generate. Bytes are the highest bytes of the states of a linear congruential
 * generator (`state = state * 1664525 + 1013904223` modulo 2 ** 32, Numerical Recipes), beginning with the
 * state after `seed`. For each item one byte gives its length, `bytesMin + byte % (bytesMax - bytesMin + 1)`;
 * then follow its own bytes.
 */
export function generatedItems(
  seed: number,
  count: number,
  bytesMin: number,
  bytesMax: number,
): Uint8Array[] {
  let state = seed
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state >>> 24
  }
  return Array.from({ length: count }, () => {
    const item = new Uint8Array(bytesMin + (next() % (bytesMax - bytesMin + 1)))
    for (let at = 0; at < item.length; at++) item[at] = next()
    return item
  })
}
