import { logAt } from '../../log/log-at.ts'
import type { Json } from '../../machine/codec.ts'
import { ReplicatedMap } from '../../machine/replicated-map.ts'
import { serveReplica } from '../../testing/index.ts'
import { type LogFlags, placeOf } from '../log-place.ts'

/** The demo's replicas on servers. Their setting is the log, as the command line says it. */
serveReplica({
  machine: () => new ReplicatedMap<string, Json>(),
  log: ({ settings }) => ({
    open: async (init) => logAt(await placeOf(settings as LogFlags)).open(init),
  }),
})
