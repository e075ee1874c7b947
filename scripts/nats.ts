/** Starts NATS servers to try things out with: `npm run nats -- --help`. */

import { once } from 'node:events'
import { resolve } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { fileStorage } from '../src/checkpoint/file-storage.ts'
import { Interrupt } from '../src/cli/interrupt.ts'
import { clusterWarning, startNatsServers } from '../src/processes/nats-servers.ts'
import { asError } from '../src/thrown.ts'

interface Options {
  readonly servers: number
  readonly dir?: string
  readonly port?: number
}

const COUNTS = [1, 3, 5]
const PORT_MAX = 65_535

const program = new Command('npm run nats --')
  .description('Start NATS servers with JetStream on this machine, as one cluster, until Ctrl-C.')
  .option('--servers <count>', `how many: ${COUNTS.join(', ')}`, among(COUNTS), 3)
  .option('--dir <directory>', 'where they keep their streams, from one run to the next; default: nowhere')
  .option(
    '--port <port>',
    "the first server's port, the others have those after it; default: free ones",
    port,
  )
  .parse()
const { servers: count, dir, port: firstPort } = program.opts<Options>()

const interrupt = new Interrupt()
if (dir !== undefined) await fileStorage.makeDirectory(dir, 0o777)
const warning = count > 1 ? clusterWarning() : undefined
if (warning !== undefined) process.stderr.write(`warning: ${warning}\n`)
try {
  await using nats = await startNatsServers({
    servers: count,
    ...(dir !== undefined && { dir: resolve(dir) }),
    ...(firstPort !== undefined && { port: firstPort }),
  })
  const anchorage = 'npx node src/cli/main.ts'
  process.stdout.write(`${count === 1 ? 'A NATS server runs' : `${count} NATS servers run, as one cluster`}:

${nats.urls.map((url) => `  ${url}\n`).join('')}
Try, in other terminals of this folder, or with "npx anchorage" where the package is installed:

  export ANCHORAGE_LOG=${nats.urls.join(',')}
  ${anchorage} node --data data-a${count > 1 ? ` --log-replicas ${count}` : ''}
  ${anchorage} set CH/Bern '{"population": 134794}'
  ${anchorage} get CH/Bern
  ${anchorage} status
  ${anchorage} demo --log $ANCHORAGE_LOG

Ctrl-C ends them; ${dir === undefined ? 'nothing is left' : `their streams stay in ${dir}`}.
`)
  if (!interrupt.signal.aborted) await once(interrupt.signal, 'abort')
  // SIGTERM lets the servers write what is to be kept.
  if (dir !== undefined) await nats.kill('SIGTERM')
} catch (error) {
  program.error(`error: ${asError(error).message}`)
}

function among(values: readonly number[]): (text: string) => number {
  return (text) => {
    const value = values.find((value) => String(value) === text)
    if (value === undefined) throw new InvalidArgumentError(`Give one of ${values.join(', ')}.`)
    return value
  }
}

function port(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < 1 || value > PORT_MAX)
    throw new InvalidArgumentError(`Give a port from 1 to ${PORT_MAX}.`)
  return value
}
