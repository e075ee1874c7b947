import { openSync, writeSync } from 'node:fs'
import { PinoSink } from '../../src/cli/logging/pino-sink.ts'
import type { Replica } from '../../src/index.ts'
import { ReplicaLog } from '../../src/replica/logging/replica-log.ts'
import { systemClock } from '../../src/time/clock.ts'

const nowhere = openSync('/dev/null', 'w')

/** The log of a replica at level info, written as the command line writes it, to nowhere. */
export function logToNowhere(replica: Pick<Replica, 'id' | 'group' | 'observe'>): void {
  const { id: self, group } = replica
  const destination = { write: (text: string) => void writeSync(nowhere, text) }
  const sink = PinoSink.to({ level: 'info', destination }).with({ group, replica: self })
  const log = new ReplicaLog({ clock: systemClock, sink, self })
  replica.observe((event) => log.happened(event))
}
