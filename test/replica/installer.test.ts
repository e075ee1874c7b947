import { beforeEach, expect, test } from 'vitest'
import type { Marker } from '../../src/group/control.ts'
import { Installer, type SnapshotSource } from '../../src/replica/snapshots/installer.ts'

const ANCHOR = { epoch: 'e', index: 7 }
const MARKER: Marker = { electorate: ['a', 'b'], requesters: ['b'], chunkBytes: 100 }

/** What the parts were told, in order. */
let told: string[]
/** The marker of the anchor, if its seal was read off the log. */
let marker: Marker | undefined
let isRefused: boolean

beforeEach(() => {
  told = []
  marker = MARKER
  isRefused = false
})

function install(source: SnapshotSource): void {
  const installer = new Installer({
    applier: {
      beginInstall: () => ({
        add: async () => {},
        commit: () => {
          if (isRefused) throw new Error('the machine refused it')
          told.push('committed')
        },
      }),
    },
    group: { installed: (anchor, electorate) => void told.push(`counts ${anchor} of ${electorate}`) },
    pruner: { covered: (index) => void told.push(`prunes up to ${index} are unknown`) },
    anchors: {
      replaced: () => void told.push('roots forgotten'),
      installed: (index, _control, chunkBytes) => void told.push(`captures ${index} in ${chunkBytes}`),
    },
    disk: { installed: ({ index }) => void told.push(`a checkpoint of ${index} is due`) },
    seals: { markerOf: (anchor) => (anchor === ANCHOR.index ? marker : undefined) },
  })
  installer.begin(source, new AbortController().signal, () => 's').commit(ANCHOR, new Uint8Array())
}

test('a snapshot of the other replicas is covered, counted, captured and offered here, in that order', () => {
  install('network')
  expect(told).toEqual([
    'committed',
    'prunes up to 7 are unknown',
    'roots forgotten',
    'a checkpoint of 7 is due',
    'counts 7 of a,b',
    'captures 7 in 100',
  ])
})

test('without its marker, which says how to cut, it is not captured', () => {
  marker = undefined
  install('network')
  expect(told.at(-1)).toBe('a checkpoint of 7 is due')
})

test("a checkpoint of one's own is on the disk already", () => {
  install('disk')
  expect(told).toEqual(['committed', 'prunes up to 7 are unknown', 'roots forgotten'])
})

test('a snapshot that the machine refuses changes nothing', () => {
  isRefused = true
  expect(() => install('network')).toThrow('refused')
  expect(told).toEqual([])
})
