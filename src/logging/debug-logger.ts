import type { ComponentLogger } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'

/** Loggers of js-libp2p that write to standard error what `DEBUG` in the environment names. */
export const debugLogger: ComponentLogger = defaultLogger()
