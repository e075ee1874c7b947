import type { Command } from 'commander'
import type { NodeOptions } from '../commands/node.ts'
import { examples } from './arguments.ts'
import type { Choose } from './choose.ts'
import { addNodeOptions } from './node-command.ts'

export function describeDoctor(program: Command, choose: Choose): void {
  const command = program
    .command('doctor')
    .description(
      'look for what is wrong on this machine: run it where a replica has trouble, with the flags of its node',
    )
  addNodeOptions(command)
    .addHelpText(
      'after',
      examples(
        'anchorage doctor --data ./replica-1 --listen /ip4/10.0.0.7/tcp/4001',
        'anchorage doctor --log nats://n1:4222 --network-key network.key --data /var/lib/app',
        'anchorage doctor --json | jq \'.checks[] | select(.level == "fail")\'',
      ) +
        `
It looks at Node.js, the log, the clock, the disk, the key, the addresses, the versions, and each replica. It starts no
replica, and changes nothing. It ends with 0 if nothing failed, and with 4 if something did.`,
    )
    .action((options: NodeOptions) =>
      choose(async (context) => {
        const { doctor } = await import('../commands/doctor.ts')
        return await doctor(context, options)
      }),
    )
}
