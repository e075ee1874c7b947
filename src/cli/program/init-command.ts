import type { Command } from 'commander'
import { examples } from './arguments.ts'
import type { Choose } from './choose.ts'

export function describeInit(program: Command, choose: Choose): void {
  program
    .command('init')
    .summary('make a small project of your own')
    .description(
      'write a small project: a map that two terminals share, with a test, on a Node.js of its own',
    )
    .argument('[dir]', 'a directory that is empty, or not there yet', '.')
    .addHelpText(
      'after',
      examples('anchorage init my-app', 'cd my-app && npm install', 'npm start a', 'npm start b') +
        '\nIt writes over nothing. It works on Node.js 20, too: the project brings the one that it needs.',
    )
    .action((dir: string) =>
      choose(async (context) => {
        const { init } = await import('../init/init.ts')
        return await init(context, dir)
      }),
    )
}
