import { plainText } from '../../plain-text.ts'
import { count, duration, shortId } from '../output.ts'
import type { SeenCatchUp } from './group-look.ts'
import type { Line } from './sections.ts'

const PHASE_LENGTH = 'requesting'.length
const BAR_LENGTH_MIN = 10
const BAR_LENGTH_MAX = 40
const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const

/** How far a catch-up is: a line with a bar, and one with its chunks and who sends them, as far as there is room. */
export function catchUpRow(catchUp: SeenCatchUp, columns: number): Line[] {
  const { member, phase, anchor, chunks, chunksTotal, bytes, bytesTotal, leftMs, elapsedMs, bytesPerSecond } =
    catchUp
  const done = bytesTotal === 0 ? 0 : bytes / bytesTotal
  const before = `${shortId(member)} ${phase.padEnd(PHASE_LENGTH)} `
  const after = [
    ` ${Math.floor(100 * done)}%`.padStart(5),
    partOf(bytes, bytesTotal),
    `${partOf(bytesPerSecond)}/s`,
    leftMs === null ? `${duration(elapsedMs)} so far` : `${duration(leftMs)} left`,
  ].join('  ')
  const room = columns - before.length - after.length - 2
  const barLength = Math.min(BAR_LENGTH_MAX, Math.max(BAR_LENGTH_MIN, room))
  const first = { text: `${before}[${bar(done, barLength)}]${after}` }
  if (anchor === 0) return [first]
  const second = `  anchor ${count(anchor)}: ${count(chunks)}/${count(chunksTotal)} chunks`
  return [first, { text: `${second}${providers(catchUp, columns - second.length)}` }]
}

function bar(done: number, length: number): string {
  const full = Math.floor(done * length)
  return '#'.repeat(full) + '-'.repeat(length - full)
}

/** As many as there is room for, and how many there are besides. */
function providers({ providers: all }: SeenCatchUp, room: number): string {
  let text = ''
  for (const [at, { peer, bytesPerSecond }] of all.entries()) {
    const next = `${text}${at === 0 ? '; from ' : ', '}${shortId(peer)} ${partOf(bytesPerSecond)}/s`
    const more = all.length - at - 1
    const length = next.length + (more > 0 ? ` and ${more} more`.length : 0)
    if (length > room) return at === 0 ? text : `${text} and ${all.length - at} more`
    text = next
  }
  return plainText(text)
}

/** "12.3 of 30.1 MB", in the unit of the whole. */
function partOf(bytes: number, total?: number): string {
  const whole = total ?? bytes
  const power = Math.min(UNITS.length - 1, whole < 1_000 ? 0 : Math.floor(Math.log10(whole) / 3))
  const text = (value: number) => (power === 0 ? `${value}` : (value / 1_000 ** power).toFixed(1))
  return total === undefined
    ? `${text(bytes)} ${UNITS[power]}`
    : `${text(bytes)} of ${text(total)} ${UNITS[power]}`
}
