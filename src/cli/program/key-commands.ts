import type { Command } from 'commander'
import { TTL_MS_MAX } from '../../machines/limits.ts'
import { type LoadOptions, load } from '../commands/load.ts'
import { deleteKey, type SetOptions, set } from '../commands/set.ts'
import { examples, integer } from './arguments.ts'
import type { Choose } from './choose.ts'

const CREATE = 'make the log if there is none'

/** Commands for the keys of the map. */
export function describeKeyCommands(program: Command, choose: Choose): void {
  describeSet(program, choose)
  describeGet(program, choose)
  describeDelete(program, choose)
  describeLoad(program, choose)
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
      choose((context) => set(context, key, value, options)),
    )
}

function describeGet(program: Command, choose: Choose): void {
  program
    .command('get')
    .description('print the value of a key, as JSON; exit code 1 if there is none')
    .argument('<key>')
    .addHelpText(
      'after',
      examples('anchorage get CH/Bern', 'anchorage get CH/Bern --json | jq .value.population'),
    )
    .action((key: string) =>
      choose(async (context) => {
        const { get } = await import('../commands/get.ts')
        return await get(context, key)
      }),
    )
}

function describeDelete(program: Command, choose: Choose): void {
  program
    .command('delete')
    .description('delete a key')
    .argument('<key>')
    .addHelpText('after', examples('anchorage delete CH/Bern'))
    .action((key: string) => choose((context) => deleteKey(context, key)))
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
    .action((file: string, options: LoadOptions) => choose((context) => load(context, file, options)))
}
