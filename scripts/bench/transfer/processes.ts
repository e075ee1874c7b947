import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Child } from '../child.ts'
import type { Joiner } from './joiner.ts'
import type { Provider } from './provider.ts'
import { fetchRate, type Whole } from './rate.ts'
import type { StateKind } from './states.ts'

export interface Transfer {
  readonly whole: Whole
  /** Have a joiner without a state fetch it. Resolves with its megabytes per second. */
  fetch(): Promise<number>
}

/** Start a provider whose snapshot of about `bytes` bytes is cut, and a process for joiners. */
export async function startTransfer(
  stack: AsyncDisposableStack,
  state: StateKind,
  bytes: number,
): Promise<Transfer> {
  const dir = await mkdtemp(join(tmpdir(), 'anchorage-bench-'))
  stack.defer(() => rm(dir, { recursive: true }))
  const provider = stack.use(new Child<Provider>(new URL('./provider.ts', import.meta.url)))
  const joiner = stack.use(new Child<Joiner>(new URL('./joiner.ts', import.meta.url)))
  const logPath = join(dir, 'log.db')
  await provider.call('start', { logPath, state })
  await provider.call('grow', bytes)
  const whole = {
    items: await provider.call('size'),
    bytes: await provider.call('cut', await provider.call('mark')),
  }
  return {
    whole,
    async fetch() {
      // The joiner collects its garbage before it joins, and so do the processes of the raw stream.
      await provider.call('watch')
      const [joined] = await joiner.call('join', { logPath, state, replicas: 1 })
      return fetchRate(joined!, whole)
    },
  }
}
