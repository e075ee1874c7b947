import { type LogBackend, memoryLog, postgresLog, sqliteLog } from '../../../src/index.ts'
import type { Log, NewMessage } from '../../../src/log/index.ts'
import { make, makeForeign } from './stream.ts'
import { GROUP, type Place, type Subject } from './subject.ts'

/** An author as long as a PeerId. */
const AUTHOR = '12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo'

export async function openOurs(place: Place): Promise<Subject> {
  if (place.backend !== 'foreign') return await open(await backendAt(place))
  const { backend, subject } = await makeForeign(place)
  return await open(backend, { subject })
}

async function backendAt(place: Exclude<Place, { backend: 'foreign' }>): Promise<LogBackend> {
  switch (place.backend) {
    case 'memory':
      return memoryLog()
    case 'sqlite':
      return sqliteLog({ path: place.path })
    case 'jetstream':
      return (await make(place)).backend
    case 'postgres':
      return postgresLog({ connectionString: place.url, schema: place.schema })
    default:
      return place satisfies never
  }
}

async function open(backend: LogBackend, message?: NewMessage): Promise<Subject> {
  const log = await backend.open({ group: GROUP, signature: GROUP, author: AUTHOR })
  return {
    append: (payloads) =>
      log.append(payloads.map((payload) => ({ kind: 'command', payload, ...(message && { message }) }))),
    follow: (count, each) => follow(log, count, each),
    again: () => open(backend, message),
    [Symbol.asyncDispose]: () => log.close(),
  }
}

async function follow(log: Log, count: number, each: (payload: Uint8Array) => void): Promise<void> {
  let seen = 0
  for await (const { entries } of log.follow({ index: 0 })) {
    for (const { epoch, kind, payload } of entries) {
      if (epoch !== log.epoch || kind !== 'command')
        throw new Error('another entry was read than was written')
      each(payload)
      if (++seen === count) return
    }
  }
}
