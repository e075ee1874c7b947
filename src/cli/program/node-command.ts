import { type Command, Option } from 'commander'
import { CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, TIMER_MS_MAX, TTL_MS_MIN } from '../../bounds.ts'
import { LEASE_MS_MAX, LEASE_MS_MIN } from '../../group/lease-bounds.ts'
import { LOG_LEVELS } from '../../logging/line.ts'
import type { NodeOptions } from '../commands/node.ts'
import { examples, httpAddress, integer, MACHINE, path, several } from './arguments.ts'
import type { Choose } from './choose.ts'

export function describeNode(program: Command, choose: Choose): void {
  addNodeOptions(program.command('node').description('run a replica until Ctrl-C'))
    .addHelpText(
      'after',
      examples(
        'anchorage node --log /var/lib/app/anchorage.db --group app',
        'anchorage node --log nats://n1:4222 --log-replicas 3 --creds app.creds --listen /ip4/10.0.0.7/tcp/4001',
        'anchorage node --listen /ip4/127.0.0.1/tcp/4001',
        'anchorage node --listen /ip4/0.0.0.0/tcp/4001 --announce /ip4/203.0.113.7/tcp/4001',
        'anchorage node --data ./replica-1 --keep 10000',
        'anchorage node --volatile --keep 10000       prune the log, and keep the state in memory only',
        'anchorage node --machine ./inventory.ts --log inventory.db',
        'anchorage node --http 9464 & curl -f http://127.0.0.1:9464/readyz',
        'anchorage node --json | jq .event',
        'anchorage node --log-level info 2> node.log',
      ),
    )
    .action((options: NodeOptions) =>
      choose(async (context) => {
        // Brings libp2p with it, which commands that only write need not wait for.
        const { node } = await import('../commands/node.ts')
        return await node(context, options)
      }),
    )
}

/** What a replica is started with. The doctor takes the same, to look at what the replica would meet. */
export function addNodeOptions(command: Command): Command {
  return command
    .option('--listen <multiaddr...>', 'where to listen; default: any free port of 127.0.0.1', several)
    .option(
      '--announce <multiaddr...>',
      'where others reach it, if not where it listens: from outside a container, or behind NAT',
      several,
    )
    .option('--machine <module>', MACHINE, path)
    .option('--reader', 'never take office as leader')
    .option(
      '--data <directory>',
      "where this replica keeps its key and checkpoints of its state; no other's",
      path,
    )
    .option('--new-log', 'begin without the state in --data, which is of another log; needed once')
    .option('--volatile', 'allow pruning although no replica keeps its state on disk')
    .option(
      '--keep <entries>',
      'have whoever leads prune all but the newest entries; needs --data or --volatile',
      integer(0),
    )
    .option(
      '--chunk-bytes <bytes>',
      'size of a chunk of a snapshot; default: 1048576',
      integer(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX),
    )
    .option(
      '--ttl-ms <ms>',
      'how long an offer lives when nobody fetches; default: 10000',
      integer(TTL_MS_MIN, TIMER_MS_MAX),
    )
    .option(
      '--lease-ms <ms>',
      'how long the leader may be silent before others take office; default: 5000',
      integer(LEASE_MS_MIN, LEASE_MS_MAX),
    )
    .option(
      '--snapshot-after <entries>',
      'ask for a snapshot when so far behind; default: 100000; "never": only when the log was pruned',
      (text) => (text === 'never' ? Number.POSITIVE_INFINITY : integer(0)(text)),
    )
    .option(
      '--http <address>',
      'answer there, with a live page, /metrics, /healthz and /readyz; a port alone is of 127.0.0.1',
      httpAddress,
    )
    .option('--libp2p-metrics', "add js-libp2p's own series to /metrics; needs --http")
    .addOption(
      new Option(
        '--log-level <level>',
        'write a log to standard error, as JSON or as text on a terminal; no lines for people on standard output then',
      ).choices([...LOG_LEVELS, 'silent']),
    )
}
