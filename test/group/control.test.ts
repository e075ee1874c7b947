import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CHUNK_BYTES_MAX } from '../../src/bounds.ts'
import { type Control, decodeControl, encodeControl } from '../../src/group/control.ts'

const index = fc.nat()
const control: fc.Arbitrary<Control> = fc.oneof(
  fc.record({ type: fc.constant('claim' as const), term: index }),
  fc.record({
    type: fc.constant('marker' as const),
    term: index,
    electorate: fc.array(fc.string()),
    requesters: fc.array(fc.string()),
    chunkBytes: fc.integer({ min: 1, max: CHUNK_BYTES_MAX }),
  }),
  fc.record({
    type: fc.constant('attestation' as const),
    anchor: index,
    root: fc.uint8Array({ maxLength: 64 }),
  }),
  fc.record({ type: fc.constant('prune' as const), term: index, upTo: index }),
  fc.record({ type: fc.constant('tick' as const), term: index }),
  fc.record({
    ...{ type: fc.constant('upgrade' as const), term: index, format: index },
    ...{ from: fc.string(), to: fc.string() },
  }),
  fc.record({
    type: fc.constant('genesis' as const),
    root: fc.uint8Array({ maxLength: 64 }),
    format: index,
    signature: fc.string(),
    timeMs: index,
    chunkBytes: index,
    source: fc.record({ group: fc.string(), epoch: fc.string(), index }),
  }),
  fc.record(
    {
      type: fc.constant('guarded' as const),
      command: fc.uint8Array(),
      key: fc.uint8Array({ minLength: 1 }),
      expect: index,
    },
    { requiredKeys: ['type', 'command'] },
  ),
)
const TYPES = ['claim', 'marker', 'attestation', 'prune', 'tick', 'upgrade', 'genesis', 'guarded']

test('a control entry is read as it was written', () => {
  fc.assert(
    fc.property(control, (written) => {
      expect(decodeControl(encodeControl(written))).toEqual(written)
    }),
  )
})

test('random bytes are a control entry or none, and never an error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      const read = decodeControl(bytes)
      if (read !== undefined) expect(TYPES).toContain(read.type)
    }),
    { numRuns: 2000 },
  )
})
