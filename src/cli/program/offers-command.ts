import type { Command } from 'commander'
import type { OffersOptions } from '../commands/offers.ts'
import { examples } from './arguments.ts'
import type { Choose } from './choose.ts'

export function describeOffers(program: Command, choose: Choose): void {
  program
    .command('offers')
    .description(
      'show each live offer by its anchor: who makes it, until when, and whether the root is sealed',
    )
    .option('--watch', 'look again every second, until Ctrl-C')
    .addHelpText(
      'after',
      examples(
        'anchorage offers',
        'anchorage offers --watch',
        'anchorage offers --json | jq \'.offers[] | select(.state == "sealed") | .root\'',
      ),
    )
    .action((options: OffersOptions) =>
      choose(async (context) => {
        const { offers } = await import('../commands/offers.ts')
        return await offers(context, options)
      }),
    )
}
