/** A map that several processes hold, behind HTTP: `npx node server.ts a 8081`. Each has a name and a port. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { json } from 'node:stream/consumers'
import { AnchorageError, createReplica, type Json, ReplicatedMap, sqliteLog } from 'anchorage'

/** How long a request may wait for the log, in milliseconds. After that it is answered with 503. */
const WAIT_MS = 2_000

interface Answer {
  readonly status: number
  readonly body?: Json
  readonly headers?: Readonly<Record<string, string>>
}

const [name = 'a', port = '8081'] = process.argv.slice(2)
const map = new ReplicatedMap<string, Json>()
await using replica = await createReplica({
  group: 'default',
  machine: map,
  log: sqliteLog({ path: 'anchorage.db' }), // for several machines: jetstreamLog, or postgresLog
  dataDir: `data-${name}`,
})

const server = createServer((request, response) => {
  const answered = answer(request).catch(failure)
  void answered.then(({ status, body, headers }) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(body === undefined ? '' : `${JSON.stringify(body)}\n`)
  })
})
server.listen(Number(port), '127.0.0.1')
await once(server, 'listening')
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => server.close())

const say = (state: string) => console.log(`${name} is ${state}: http://127.0.0.1:${port}/`)
say(replica.state)
replica.addEventListener('state', ({ detail }) => say(detail.state))
await once(server, 'close')

async function answer(request: IncomingMessage): Promise<Answer> {
  const key = decodeURIComponent(request.url!.slice(1))
  const value = request.method === 'PUT' ? ((await json(request)) as Json) : undefined
  // Whatever anybody has written before, through whichever process, is in this one's map then.
  await replica.barrier({ signal: AbortSignal.timeout(WAIT_MS) })
  switch (request.method) {
    case 'GET':
      return found(map.get(key))
    case 'PUT':
    case 'DELETE':
      return await write(key, value, request)
    default:
      return { status: 405, headers: { allow: 'GET, PUT, DELETE' } }
  }
}

/** Set a key, or delete it. With `If-Match` only if it has that value, with `If-None-Match: *` only if it has none. */
async function write(key: string, value: Json | undefined, request: IncomingMessage): Promise<Answer> {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = request.headers
  const signal = AbortSignal.timeout(WAIT_MS)
  const before = map.get(key)
  const isWanted =
    (ifMatch === undefined || (before !== undefined && [etagOf(before), '*'].includes(ifMatch))) &&
    (ifNoneMatch !== '*' || before === undefined)
  if (!isWanted) return { ...found(before), status: 412 }
  if (ifMatch === undefined && ifNoneMatch === undefined) {
    if (value === undefined) await map.delete(key, { signal })
    else await map.set(key, value, { signal })
    return found(value, 204)
  }
  // Another process may write first. So every replica compares once more, where the write has its place in the log.
  const { result } = await map.compareAndSet(key, before, value, { signal })
  return result ? found(value, 204) : { ...found(map.get(key)), status: 412 }
}

function found(value: Json | undefined, none = 404): Answer {
  if (value === undefined) return { status: none }
  return { status: 200, body: value, headers: { etag: etagOf(value) } }
}

function etagOf(value: Json): string {
  return `"${createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16)}"`
}

function failure(error: unknown): Answer {
  const body = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  // No such key, or no JSON.
  if (error instanceof URIError || error instanceof SyntaxError) return { status: 400, body }
  // A key, or an entry, that is too large.
  if (error instanceof RangeError) return { status: 413, body }
  // This process is not in sync, or the log cannot be reached. Another one may answer, or this one later.
  const isBusy = error instanceof AnchorageError
  return isBusy ? { status: 503, body, headers: { 'retry-after': '1' } } : { status: 500, body }
}
