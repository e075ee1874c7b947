import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ELECTORATE_MAX, Seal, type SealChange } from '../../src/group/seal.ts'

const NAMES = ['a', 'b', 'c', 'd', 'e']
const root = (letter: string) => new Uint8Array(32).fill(letter.charCodeAt(0))

/** The electors attest in turn, a letter for each one's root. */
function attestAll(size: number, letters: string): { seal: Seal; changes: (SealChange | undefined)[] } {
  const seal = new Seal(NAMES.slice(0, size))
  const changes = [...letters].map((letter, n) => seal.attest(NAMES[n]!, root(letter)))
  return { seal, changes }
}

describe('an electorate', () => {
  test.each<[size: number, letters: string, state: Seal['state'], at: number, minority: string[]]>([
    [1, 'x', 'sealed', 1, []],
    [2, 'x', 'open', 0, []],
    [2, 'xx', 'sealed', 2, []],
    [2, 'xy', 'disputed', 2, []],
    [3, 'xy', 'open', 0, []],
    [3, 'xyx', 'sealed', 3, ['b']],
    [3, 'xxy', 'sealed', 2, ['c']],
    [3, 'xyz', 'disputed', 3, []],
    [4, 'xyxx', 'sealed', 4, ['b']],
    [4, 'xyxy', 'disputed', 4, []],
    [4, 'xyy', 'open', 0, []],
    [4, 'xyz', 'disputed', 3, []],
    [5, 'xyyx', 'open', 0, []],
    [5, 'xyzx', 'open', 0, []],
    [5, 'xyyxx', 'sealed', 5, ['b', 'c']],
    [5, 'xyzxx', 'sealed', 5, ['b', 'c']],
    [5, 'xxyyz', 'disputed', 5, []],
    [5, 'xyzw', 'disputed', 4, []],
  ])('of %i that attests %s is %s', (size, letters, state, at, minority) => {
    const { seal, changes } = attestAll(size, letters)
    expect(seal.state).toBe(state)
    expect(seal.root).toEqual(state === 'sealed' ? root('x') : undefined)
    expect(changes.findIndex((change) => change === 'sealed' || change === 'disputed') + 1).toBe(at)
    expect([...seal.minority.keys()]).toEqual(minority)
    for (const [name, other] of seal.minority) expect(other).toEqual(seal.attestations.get(name))
  })
})

test('an anchor ends at the first attestation that seals it, or after which nothing can', () => {
  /** Some electors that have not attested yet could still make a majority for a root. */
  const couldSeal = (size: number, letters: string): boolean =>
    [...'wxyz'].some((letter) => {
      const agreeing = [...letters].filter((other) => other === letter).length
      return (agreeing + size - letters.length) * 2 > size
    })
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: ELECTORATE_MAX }),
      fc.array(fc.constantFrom('w', 'x', 'y', 'z'), { minLength: ELECTORATE_MAX, maxLength: ELECTORATE_MAX }),
      (size, all) => {
        let ended = false
        for (let n = 1; n <= size; n++) {
          const letters = all.slice(0, n).join('')
          const { seal, changes } = attestAll(size, letters)
          const ends = changes.filter((change) => change === 'sealed' || change === 'disputed')
          expect(ends).toEqual(seal.state === 'open' ? [] : [seal.state])
          if (!ended) expect(seal.state === 'disputed').toBe(!couldSeal(size, letters))
          ended = seal.state !== 'open'
          for (const [name, other] of seal.minority) {
            expect([seal.state, seal.attestations.get(name)]).toEqual(['sealed', other])
          }
        }
        // Everyone has spoken: there is an end.
        expect(ended).toBe(true)
      },
    ),
  )
})

test('neither attestations of strangers nor second ones count', () => {
  const seal = new Seal(['a', 'b', 'c'])
  expect(seal.attest('stranger', root('x'))).toBeUndefined()
  expect(seal.attest('a', root('x'))).toBeUndefined()
  expect(seal.attest('a', root('y'))).toBeUndefined()
  expect(seal.attest('b', root('x'))).toBe('sealed')
  expect(seal.attest('b', root('y'))).toBeUndefined()
  expect(seal.attest('c', root('y'))).toBe('diverged')
  expect(seal.attest('c', root('y'))).toBeUndefined()
})
