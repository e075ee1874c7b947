import { format } from 'node:util'
import type { ComponentLogger, Logger } from '@libp2p/interface'

/** A logger of js-libp2p that is on, and gives each line to a test: its component, which writer it came to, its text. */
export function keptLogger(
  keep: (component: string, writer: 'log' | 'error' | 'trace', line: string) => void,
): ComponentLogger {
  return { forComponent }

  function forComponent(name: string): Logger {
    const writer =
      (which: 'log' | 'error' | 'trace') =>
      (...args: unknown[]) =>
        keep(name, which, format(...args))
    return Object.assign(writer('log'), {
      error: writer('error'),
      trace: writer('trace'),
      enabled: true,
      newScope: (scope: string) => forComponent(`${name}:${scope}`),
    })
  }
}
