import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { serveReplica } from '../../src/testing/index.ts'
import { MapModel } from '../../src/testing/simulation/oracle/map-model.ts'

/** What a replica holds at one position. */
export interface Contents {
  readonly index: number
  readonly timeMs: number
  readonly size: number
  readonly digest: string
}

serveReplica({
  machine: () => new ReplicatedMap<string, string>(),
  methods: {
    submit: (replica, _map, command: Uint8Array) => replica.submit(command),
    contents: ({ position, timeMs }, map): Contents => ({
      index: position.index,
      timeMs,
      size: map.size,
      digest: new MapModel().digestOf(map, timeMs),
    }),
  },
})
