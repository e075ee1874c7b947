import { arch, availableParallelism, cpus, release, totalmem, type } from 'node:os'
import { version as libp2pVersion } from 'libp2p/version'

const GIB = 1024 ** 3

/** The machine of a measurement. Figures of different machines cannot be compared. */
export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly memoryGiB: number
  readonly kernel: string
  readonly node: string
  readonly libp2p: string
}

export function describeMachine(): Machine {
  return {
    processor: cpus()[0]?.model.trim() || arch(),
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / GIB),
    kernel: `${type()} ${release()} ${arch()}`,
    node: process.versions.node,
    libp2p: libp2pVersion,
  }
}
