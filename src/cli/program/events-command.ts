import { type Command, InvalidArgumentError } from 'commander'
import type { EventsOptions } from '../commands/events.ts'
import { EVENT_TYPES, type GroupEventType, LOG_EVENTS, MEMBER_EVENTS } from '../events/group-event.ts'
import { examples, integer } from './arguments.ts'
import type { Choose } from './choose.ts'

export function describeEvents(program: Command, choose: Choose): void {
  program
    .command('events')
    .description(
      'tell what happened in the group, as far as the log holds it: who led, was captured, was sealed',
    )
    .option('--follow', 'go on with what happens, until Ctrl-C, and tell of the members too')
    .option('--since <index>', 'the first entry to tell of; "now": only what is still to come', since)
    .option('--type <types>', 'only these, with commas between them; may be repeated', types)
    .addHelpText(
      'after',
      examples(
        'anchorage events',
        'anchorage events --follow --since now',
        'anchorage events --type leader,sealed --since 120000',
        'anchorage events --follow --json | jq \'select(.event == "catch-up") | .detail\'',
      ) +
        `\nOf the log: ${LOG_EVENTS.join(', ')}.\nOf the members, with --follow: ${MEMBER_EVENTS.join(', ')}.`,
    )
    .action((options: EventsOptions) =>
      choose(async (context) => {
        const { events } = await import('../commands/events.ts')
        return await events(context, options)
      }),
    )
}

function since(text: string): number | 'now' {
  return text === 'now' ? 'now' : integer(1)(text)
}

function types(text: string, before: readonly GroupEventType[] = []): GroupEventType[] {
  const named = text.split(',').map((name) => name.trim())
  const unknown = named.find((name) => !(EVENT_TYPES as readonly string[]).includes(name))
  if (unknown !== undefined) throw new InvalidArgumentError(`Give some of ${EVENT_TYPES.join(', ')}`)
  return [...before, ...(named as GroupEventType[])]
}
