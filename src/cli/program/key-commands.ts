import type { Command } from 'commander'
import { TTL_MS_MAX } from '../../machines/limits.ts'
import type { GetOptions } from '../commands/get.ts'
import type { LoadOptions } from '../commands/load.ts'
import type { SetOptions } from '../commands/set.ts'
import type { SubmitOptions } from '../commands/submit.ts'
import { examples, integer, MACHINE, path, several } from './arguments.ts'
import type { Choose } from './choose.ts'

const CREATE = 'make the log if there is none'

/** Commands that write and read: those for the keys of the map, and those for any machine. */
export function describeKeyCommands(program: Command, choose: Choose): void {
  describeSet(program, choose)
  describeGet(program, choose)
  describeDelete(program, choose)
  describeLoad(program, choose)
  describeSubmit(program, choose)
}

function describeSet(program: Command, choose: Choose): void {
  program
    .command('set')
    .description('set a key to a JSON value')
    .argument('<key>')
    .argument('<value>', 'JSON')
    .option('--string', 'the value is text as it stands, not JSON')
    .option('--ttl-ms <ms>', 'how long the key lives; default: until it is deleted', integer(1, TTL_MS_MAX))
    .option('--create', CREATE)
    .addHelpText(
      'after',
      examples(
        'anchorage set answer 42',
        `anchorage set CH/Bern '{"population": 134794}'`,
        'anchorage set name --string Bern',
        'anchorage set debt -7',
        'anchorage set session/42 true --ttl-ms 60000',
      ),
    )
    .action((key: string, value: string, options: SetOptions) =>
      choose(async (context) => {
        const { set } = await import('../commands/set.ts')
        return await set(context, key, value, options)
      }),
    )
}

function describeGet(program: Command, choose: Choose): void {
  program
    .command('get')
    .description(
      'print the value of a key, as JSON, or what another machine answers; exit code 1 if there is none',
    )
    .argument('<key>', 'a key of the map, or a question that the machine understands')
    .option('--machine <module>', MACHINE, path)
    .addHelpText(
      'after',
      examples(
        'anchorage get CH/Bern',
        'anchorage get CH/Bern --json | jq .value.population',
        'anchorage get bolts --log inventory.db',
        "anchorage get 'SELECT count(*) FROM account' --log bank.db",
      ) +
        '\nA running replica is asked. Without one the log is read, with the map or the machine of --machine.',
    )
    .action((key: string, options: GetOptions) =>
      choose(async (context) => {
        const { get } = await import('../commands/get.ts')
        return await get(context, key, options)
      }),
    )
}

function describeDelete(program: Command, choose: Choose): void {
  program
    .command('delete')
    .description('delete a key')
    .argument('<key>')
    .addHelpText('after', examples('anchorage delete CH/Bern'))
    .action((key: string) =>
      choose(async (context) => {
        const { deleteKey } = await import('../commands/set.ts')
        return await deleteKey(context, key)
      }),
    )
}

function describeLoad(program: Command, choose: Choose): void {
  program
    .command('load')
    .description('set many keys from a file of JSON Lines, {"key": …, "value": …}, perhaps with "ttlMs": …')
    .argument('<file>', '- for standard input')
    .option('--create', CREATE)
    .addHelpText(
      'after',
      examples('anchorage load cities.jsonl', 'zcat cities.jsonl.gz | anchorage load -') +
        '\nA malformed line is reported and left out; the exit code is then 1.',
    )
    .action((file: string, options: LoadOptions) =>
      choose(async (context) => {
        const { load } = await import('../commands/load.ts')
        return await load(context, file, options)
      }),
    )
}

function describeSubmit(program: Command, choose: Choose): void {
  program
    .command('submit')
    .description('append one command, whatever machine the log is of')
    .argument('<command>', 'the bytes of the command, as text; - for standard input')
    .option('--hex', 'the command is in hexadecimal')
    .option('--machine <module>', `${MACHINE}; prints what the command did`, path)
    .option('--key <key>', 'apply it once, however often it is submitted with this key; needs --machine')
    .option('--subject <subject>', 'where to publish it, if the log is a stream that others write too')
    .option('--header <name=value>', 'a header of the message; may be repeated', several)
    .addHelpText(
      'after',
      examples(
        `anchorage submit '{"article": "bolts", "count": 3}' --machine ./inventory.ts`,
        'anchorage submit --hex 0a0b0c',
        'anchorage submit - < command.bin',
      ) +
        '\nWithout --machine nobody looks at the command before replicas apply it: they skip one that is malformed.',
    )
    .action((text: string, options: SubmitOptions) =>
      choose(async (context) => {
        const { submit } = await import('../commands/submit.ts')
        return await submit(context, text, options)
      }),
    )
}
