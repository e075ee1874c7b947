/** Reads the log's commands in a bare loop, without a replica. */

import { once } from 'node:events'
import { bareReader } from '../../log/bare-read.ts'
import { type LogFlags, placeOf } from '../log/log-flags.ts'
import { PlainMap } from './plain-map.ts'

export interface BareReplayTask {
  readonly log: LogFlags
  readonly group: string
}

const [{ log, group }] = (await once(process, 'message')) as [BareReplayTask]
const read = await bareReader(await placeOf(log), group)
const map = new PlainMap()
await read((bytes, start) => map.apply(bytes, start))
map.report()
