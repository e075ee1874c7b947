import type { Kept, Report } from './kept.ts'
import { short, spread, verdict } from './table.ts'

/** The page of a report in Markdown: the machine, a table of all results, and the groups' charts. */
export function formatPage({ machine, results }: Report, groups: readonly string[]): string {
  const { processor, cores, memoryGiB, kernel, node, libp2p } = machine
  const dates = results.map(({ date }) => dayOf(date)).toSorted()
  const [first, last] = [dates[0], dates.at(-1)]
  const facts = [
    ['processor', `${processor}, ${cores} cores`],
    ['memory', `${memoryGiB} GiB`],
    ['kernel', kernel],
    ['Node.js', node],
    ['libp2p', libp2p],
    ['measured', first === last ? first : `from ${first} to ${last}`],
  ]
  const head = ['benchmark', 'ours', 'baseline', 'ratio', 'spread', 'target', '', 'compared with', 'measured']
  return [
    '# Benchmarks',
    'Written by `npm run bench -- --report` from [results.json](results.json), which has every single pair of measurements.',
    table([['', ''], ...facts.map(([what, is]) => [what!, is!])]),
    'Each benchmark measures pairs: ours and the baseline, one right after the other. Of the values, this is the median. A\nratio is ours divided by the baseline: the median of all pairs, and beside it the spread, from the least to the\ngreatest.',
    '## Results',
    table([head, ...results.map(row)]),
    '## Charts',
    ...groups.map((group) => `### ${group}\n\n![${group}: ours beside the baseline](${group}.svg)`),
  ]
    .map((paragraph) => `${paragraph}\n`)
    .join('\n')
}

function row(kept: Kept): string[] {
  const met = verdict(kept.met)
  return [
    `\`${kept.name}\``,
    `${short(kept.value)} ${kept.unit}`,
    `${short(kept.baselineValue)} ${kept.unit}`,
    short(kept.ratio),
    spread(kept.ratioMin, kept.ratioMax),
    kept.target ?? '',
    kept.met === false ? `**${met}**` : met,
    kept.baseline,
    circumstances(kept),
  ]
}

function circumstances({ date, pairs, scale }: Kept): string {
  const size = scale === 1 ? '' : `, at ${scale} of the size`
  return `${dayOf(date)}, ${pairs.length} ${pairs.length === 1 ? 'pair' : 'pairs'}${size}`
}

/** @param date ISO 8601 */
function dayOf(date: string): string {
  return date.slice(0, 'yyyy-mm-dd'.length)
}

function table([head, ...rows]: readonly string[][]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(escapeCell).join(' | ')} |`
  return [line(head!), line(head!.map(() => '---')), ...rows.map(line)].join('\n')
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|')
}
