import { Refusal } from '../../machine/errors.ts'
import type { Bench } from './bench.ts'
import { type FaultPlace, orFault } from './machine-fault.ts'
import { type Step, spread } from './script.ts'
import { compareItems, TIMES } from './state.ts'
import { compareOutcomes, type Outcome, type Subject } from './subject.ts'

/** How many commands are applied as one. */
const TOGETHER = 3
/** How many transactions are tried, at most: the whole state is read four times for each. */
const TRANSACTIONS = 64

/** Commands that were rolled back leave no trace, and those that were committed are as without a transaction. */
export async function checkTransaction(bench: Bench): Promise<void> {
  const { steps } = bench.script
  const subject = await bench.subject('transaction')
  if (subject.machine.transaction === undefined) return
  const check = new TransactionCheck(subject, await bench.subject('transaction'))
  const tried = new Set(spread(Math.ceil(steps.length / TOGETHER) - 1, TRANSACTIONS - 1))
  for (let n = 0; n * TOGETHER < steps.length; n++) {
    const together = steps.slice(n * TOGETHER, (n + 1) * TOGETHER)
    if (tried.has(n)) check.applyTogether(together)
    else check.applyEach(together)
  }
}

class TransactionCheck {
  readonly #subject: Subject
  /** Is given the same, without transactions. */
  readonly #plain: Subject

  constructor(subject: Subject, plain: Subject) {
    this.#subject = subject
    this.#plain = plain
  }

  applyEach(steps: readonly Step[]): void {
    for (const step of steps) {
      this.#subject.apply(step)
      this.#plain.apply(step)
    }
  }

  applyTogether(steps: readonly Step[]): void {
    const { number, context } = steps.at(-1)!
    const place = { command: number }
    for (const subject of [this.#subject, this.#plain]) subject.advance(context.timeMs, place)
    const before = this.#subject.items(place)
    this.#call('begin', place)
    const isWhole = this.#applyTo(this.#subject, steps).every(isObeyed)
    this.#call('rollback', place)
    compareItems(
      'transaction',
      place,
      'after rollback(), the state differs',
      before,
      this.#subject.items(place),
      TIMES,
    )

    // Who began a transaction rolls it back if one of its commands is not obeyed.
    if (isWhole) this.#call('begin', place)
    const outcomes = this.#applyTo(this.#subject, steps)
    if (isWhole) this.#call('commit', place)
    for (const [n, expected] of this.#applyTo(this.#plain, steps).entries()) {
      const { number: command, command: bytes } = steps[n]!
      const what = 'with and without a transaction, the results differ'
      compareOutcomes('transaction', { command, bytes }, what, expected, outcomes[n]!)
    }
    const what = 'after commit(), and without a transaction, the states differ'
    compareItems('transaction', place, what, this.#plain.items(place), this.#subject.items(place))
  }

  #call(method: 'begin' | 'commit' | 'rollback', place: FaultPlace): void {
    const transaction = this.#subject.machine.transaction!
    orFault('transaction', `transaction.${method}()`, place, () => transaction[method]())
  }

  #applyTo(subject: Subject, steps: readonly Step[]): Outcome[] {
    const { timeMs } = steps.at(-1)!.context
    return steps.map(({ number, command, context: { position } }) =>
      subject.applyNow(Uint8Array.from(command), { position, timeMs }, { command: number, bytes: command }),
    )
  }
}

function isObeyed(outcome: Outcome): boolean {
  return outcome.type === 'applied' && !(outcome.result instanceof Refusal)
}
