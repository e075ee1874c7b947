import { expect, test } from 'vitest'
import { ArrayConsensus } from '../../docs/examples/array-consensus.ts'
import { main } from '../../docs/examples/own-consensus.ts'

test('the example’s joiner catches up from two providers, beside identify, ping and gossipsub', async () => {
  const lines: string[] = []
  const [alice, bob, carol] = await main((line) => lines.push(line))
  expect(alice).toHaveLength(50_001)
  expect([bob, carol]).toEqual([alice, alice])
  expect(lines).toEqual([
    'Alice and Bob have 50000 words, and the log is pruned',
    expect.stringMatching(/^Carol is connected to 2 peers; a ping takes \d+ ms$/),
    expect.stringMatching(/^Carol fetched \d+ bytes from Alice and Bob, at 50003$/),
    'Carol has 50001 words, of which the last is "the newest"',
  ])
})

test.each([
  ['nobody has voted', [], undefined],
  ['a half agrees', ['aa'], undefined],
  ['a majority agrees', ['aa', 'aa'], Buffer.from('aa')],
  ['no root can get a majority', ['aa', 'bb', 'cc'], 'disputed'],
])('the example’s consensus counts votes: %s', (_what, roots, verdict) => {
  const log = new ArrayConsensus()
  const electors = ['a', 'b', 'c']
  const anchor = log.append({ type: 'marker', electors, requester: 'j', retires: [] })
  const vote = (by: string, root: string, at = anchor) =>
    log.append({ type: 'vote', anchor: at, by, root: Buffer.from(root) })
  for (const [n, root] of roots.entries()) vote(electors[n]!, root)
  vote('a stranger', 'aa')
  vote('c', 'aa', anchor + 1)
  expect(log.verdict(anchor)).toEqual(verdict)
})
