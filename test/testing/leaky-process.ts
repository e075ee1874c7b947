import { ReplicatedMap } from '../../src/index.ts'
import { serveReplica } from '../../src/testing/index.ts'

serveReplica({
  machine() {
    setInterval(() => {}, 60_000)
    return new ReplicatedMap()
  },
})
