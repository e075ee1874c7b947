/** Sessions that several processes hold, behind HTTP: `npx node server.ts a 8081`. Each has a name and a port. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { AnchorageError, createReplica, ReplicatedMap, sqliteLog } from 'anchorage'

/** How long a session lives that nobody uses, in milliseconds. In earnest: half an hour. */
const TTL_MS = 10_000
/** How long a request may wait for the log, in milliseconds. After that it is answered with 503. */
const WAIT_MS = 2_000

interface Session {
  readonly user: string
}

interface Answer {
  readonly status: number
  readonly body?: object
  readonly cookie?: string
}

const [name = 'a', port = '8081'] = process.argv.slice(2)
const sessions = new ReplicatedMap<string, Session>({ name: 'sessions' })
await using replica = await createReplica({
  group: 'sessions',
  machine: sessions,
  log: sqliteLog({ path: 'sessions.db' }), // for several machines: jetstreamLog, or postgresLog
  dataDir: `data-${name}`,
})
sessions.addEventListener('change', ({ detail }) => {
  // A dead session is read by nobody any more. This is the moment at which its memory is freed.
  if (detail.type === 'expire') console.log(`${name}: the session of ${detail.previous.user} has ended`)
})
await replica.inSync()

const server = createServer((request, response) => {
  const answered = answer(request).catch(failure)
  void answered.then(({ status, body, cookie }) => {
    if (cookie !== undefined) response.setHeader('set-cookie', `sid=${cookie}; HttpOnly; Path=/`)
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(body === undefined ? '' : `${JSON.stringify(body)}\n`)
  })
})
server.listen(Number(port), '127.0.0.1')
await once(server, 'listening')
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => server.close())
console.log(`${name} is in sync: http://127.0.0.1:${port}/`)
await once(server, 'close')

async function answer(request: IncomingMessage): Promise<Answer> {
  const id = /(?:^|; )sid=([\w-]+)/.exec(request.headers.cookie ?? '')?.[1] ?? ''
  switch (`${request.method} ${request.url}`) {
    case 'POST /login':
      return await logIn(await text(request))
    case 'GET /me':
      return await use(id)
    case 'POST /logout':
      await sessions.delete(id)
      return { status: 204, cookie: '' }
    case 'GET /sessions':
      return { status: 200, body: list() }
    default:
      return { status: 404 }
  }
}

async function logIn(user: string): Promise<Answer> {
  const id = randomUUID()
  await sessions.set(id, { user }, { ttlMs: TTL_MS, signal: AbortSignal.timeout(WAIT_MS) })
  return { status: 200, body: { user }, cookie: id }
}

async function use(id: string): Promise<Answer> {
  const signal = AbortSignal.timeout(WAIT_MS)
  // The login may have been written by another process, just before.
  await replica.barrier({ signal })
  const session = sessions.get(id)
  if (session === undefined) return { status: 401, body: { error: 'log in first' } }
  // A write for each request would be many. And a session that has ended meanwhile, or was ended, stays so.
  if (sessions.ttl(id)! < TTL_MS / 2)
    await sessions.compareAndSet(id, session, session, { ttlMs: TTL_MS, signal })
  return { status: 200, body: session }
}

/** What this replica has now, without asking the log. Two replicas at the same entry answer the same, to the byte. */
function list() {
  const all = sessions.entries().map(([id, { user }]) => ({ user, leftMs: sessions.ttl(id) }))
  return { entry: replica.position.index, sessions: [...all] }
}

function failure(error: unknown): Answer {
  const body = { error: String(error) }
  return { status: error instanceof AnchorageError ? 503 : 500, body }
}
