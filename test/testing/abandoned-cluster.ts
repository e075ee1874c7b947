import { startCluster } from '../../src/testing/index.ts'

// A program whose cluster is not stopped: it says what it started, and is killed, or throws.
const cluster = await startCluster({ replicas: 2 })
cluster.replicas[1]?.pause()
const pids = cluster.replicas.map((replica) => replica.pid)
console.log(JSON.stringify({ pids, dir: cluster.dir }))
if (process.argv[2] === 'throw') throw new Error('the program failed')
