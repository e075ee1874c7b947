import { logAt } from '../../log/log-at.ts'
import type { Json } from '../../machine/codec.ts'
import { ReplicatedMap } from '../../machines/map/replicated-map.ts'
import { serveReplica } from '../../processes/program.ts'
import { type LogFlags, placeOf } from '../log/log-flags.ts'

/**
 * The demo's replicas. On servers, their setting is the flags of the log. Each process reads the files that
 * the flags name, because an authenticator cannot be sent.
 */
serveReplica({
  machine: () => new ReplicatedMap<string, Json>(),
  log: ({ log, settings }) =>
    settings === undefined
      ? logAt(log)
      : { open: async (init) => logAt(await placeOf(settings as LogFlags)).open(init) },
  methods: {
    /** Serve the live page. Returns its address. */
    page: async (replica) => {
      const { observeReplica, serveHttp } = await import('../../observe/index.ts')
      return (await serveHttp(observeReplica(replica))).url
    },
  },
})
