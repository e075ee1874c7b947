import type { ComponentLogger } from '@libp2p/interface'
import type { Logger } from '../warnings.ts'

/** True for a logger of js-libp2p, which makes one for each component. */
export function isComponentLogger(
  logger: Logger | ComponentLogger | false | undefined,
): logger is ComponentLogger {
  return typeof logger === 'object' && typeof Reflect.get(logger ?? {}, 'forComponent') === 'function'
}
