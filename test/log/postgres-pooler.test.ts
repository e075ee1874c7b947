import { chownSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, vi } from 'vitest'
import { freePorts } from '../../src/processes/free-ports.ts'
import { folderWith } from '../../src/processes/installed.ts'
import { findPostgres, type Postgres, startPostgres } from '../../src/processes/postgres-server.ts'
import { ServerProcess } from '../../src/processes/server-process.ts'
import { conformance } from './conformance.ts'
import { describeInstalled } from './installed.ts'
import { postgresHarness } from './postgres-harness.ts'

/** The folder of PgBouncer: the variable `PGBOUNCER_BIN`, the PATH, or Debian's. */
const { PGBOUNCER_BIN } = process.env
const folder = PGBOUNCER_BIN ?? folderWith(['pgbouncer'], ['/usr/sbin'])
const HOST = '127.0.0.1'
/** Fewer than there are handles, so that a session of the server has statements of several. */
const POOL_SIZE = 3
/** How long PgBouncer may take to start, in milliseconds. */
const WAIT = { timeout: 10_000, interval: 20 }

describeInstalled('PgBouncer', folder !== undefined && findPostgres() !== undefined, 'a pooler', () => {
  const stack = new AsyncDisposableStack()
  let postgres: Postgres
  let port: number

  beforeAll(async () => {
    postgres = stack.use(await startPostgres())
    const dir = mkdtempSync(join(tmpdir(), 'anchorage-pgbouncer-'))
    stack.defer(() => rmSync(dir, { recursive: true }))
    ;[port] = (await freePorts(HOST, 1)) as [number]
    const { username, password, port: serverPort, pathname } = new URL(postgres.url)
    // It does not run as root either.
    const { uid, gid } = statSync(postgres.primary.dataDir)
    const runAs = process.getuid?.() === 0 ? { uid, gid } : {}
    const write = (name: string, lines: readonly string[]) => {
      const path = join(dir, name)
      writeFileSync(path, lines.join('\n'))
      chownSync(path, uid, gid)
      return path
    }
    const users = write('users', [`"${username}" "${password}"`])
    const ini = write('pgbouncer.ini', [
      '[databases]',
      `${pathname.slice(1)} = host=${HOST} port=${serverPort} user=${username} password=${password}`,
      '[pgbouncer]',
      `listen_addr = ${HOST}`,
      `listen_port = ${port}`,
      'unix_socket_dir =',
      'auth_type = plain',
      `auth_file = ${users}`,
      'pool_mode = transaction',
      `default_pool_size = ${POOL_SIZE}`,
    ])
    chownSync(dir, uid, gid)
    const bouncer = new ServerProcess({ program: join(folder!, 'pgbouncer'), args: [ini], ...runAs })
    stack.defer(() => bouncer.kill('SIGKILL'))
    await bouncer.start()
    await vi.waitFor(() => answers(port), WAIT)
  })
  afterAll(() => stack.disposeAsync())

  conformance(
    'postgresLog in a transaction pool',
    postgresHarness(
      () => postgres,
      { pooled: true },
      () => `${HOST}:${port}`,
    ),
  )
})

/** Resolves if something listens there. */
async function answers(port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket = connect(port, HOST, resolve).on('error', reject)
  await promise
  socket.destroy()
}
