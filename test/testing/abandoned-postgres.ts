import { startPostgres } from '../../src/testing/index.ts'

// A program that does not stop its server: it says what it started, and is killed, or throws.
const postgres = await startPostgres()
const pids = (await postgres.primary.query('SELECT pid FROM pg_stat_activity')).split('\n').map(Number)
postgres.pause()
console.log(JSON.stringify({ pids, dir: postgres.dir }))
if (process.argv[2] === 'throw') throw new Error('the program failed')
setInterval(() => {}, 60_000)
