import type * as CheckpointFile from '../../src/checkpoint/file.ts'
import type * as FileStorage from '../../src/checkpoint/file-storage.ts'
import type * as Offers from '../../src/checkpoint/offers-file.ts'
import type * as Index from '../../src/index.ts'
import type * as Leases from '../../src/leases/index.ts'
import type * as Machines from '../../src/machines/index.ts'
import type * as Encoding from '../../src/snapshot/encoding.ts'
import type { Package } from './last-release.ts'

/** The library of one version of the package: what a program uses, and the parts that read and write files. */
export interface Library {
  readonly index: typeof Index
  readonly machines: typeof Machines
  readonly leases: typeof Leases
  readonly checkpoints: typeof CheckpointFile
  readonly offers: typeof Offers
  readonly storage: typeof FileStorage
  readonly encoding: typeof Encoding
}

export async function libraryOf(from: Package): Promise<Library> {
  return {
    index: await from.load('index'),
    machines: await from.load('machines/index'),
    leases: await from.load('leases/index'),
    checkpoints: await from.load('checkpoint/file'),
    offers: await from.load('checkpoint/offers-file'),
    storage: await from.load('checkpoint/file-storage'),
    encoding: await from.load('snapshot/encoding'),
  }
}
