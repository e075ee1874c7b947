/** Breaks real processes, and checks what was promised: `npm run chaos -- --help`. */
import { Interrupt } from '../src/cli/interrupt.ts'
import { NatsServerMissing, PostgresMissing } from '../src/processes/errors.ts'
import { clusterWarning } from '../src/processes/nats-servers.ts'
import { asError } from '../src/thrown.ts'
import { type ChaosOptions, parseOptions, USAGE, UsageError } from './chaos/options.ts'
import { reportText } from './chaos/report.ts'
import { Run } from './chaos/run.ts'

try {
  const options = parseOptions(process.argv.slice(2))
  if (options === undefined) console.log(USAGE)
  else process.exitCode = await main(options)
} catch (error) {
  const told = asError(error)
  const isTold = [UsageError, NatsServerMissing, PostgresMissing].some((kind) => told instanceof kind)
  console.error(isTold ? `error: ${told.message}` : told)
  process.exitCode = 1
}

/** Resolves with the exit code: 1 if a promise was broken. */
async function main(options: ChaosOptions): Promise<number> {
  const { minutes, seed, log, json, verbose } = options
  const interrupt = new Interrupt()
  const say = (text: string) => process.stderr.write(`${text}\n`)
  say(`seed ${seed} on ${log}: the faults are drawn from it; what real processes do of them differs a little`)
  const warning = log === 'nats' ? clusterWarning() : undefined
  if (warning !== undefined) say(`warning: ${warning}`)
  const beganMs = performance.now()
  const round = (round: number, what: string) => {
    const passed = Math.round((performance.now() - beganMs) / 1_000)
    say(`round ${round}: ${what} (${passed} of ${Math.round(minutes * 60)} s)`)
  }
  const report = await new Run(options, { round, event: verbose ? say : () => {} }, interrupt.signal).run()
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : reportText(report))
  return report.brokenCount === 0 ? 0 : 1
}
