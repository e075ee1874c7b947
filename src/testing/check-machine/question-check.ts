import { sameBytes } from '../../bytes.ts'
import { MalformedQuestion } from '../../machine/machine.ts'
import { asError } from '../../thrown.ts'
import type { Bench, Reference } from './bench.ts'
import { excerpt } from './excerpt.ts'
import { inForeignTime } from './foreign-time.ts'
import { faultOf, MachineFault } from './machine-fault.ts'
import { placeAfter } from './reference-run.ts'
import { compareStates } from './state.ts'
import type { Subject } from './subject.ts'

/** At how many places questions are asked. */
const PLACES = 6

/** What came of a question. */
interface Answer {
  readonly question: Uint8Array
  readonly place: number
  /** Undefined: there is no such thing, or it was no question. */
  readonly bytes: Uint8Array | undefined
  /** A copy of the bytes. */
  readonly copy: Uint8Array | undefined
  readonly isMalformed: boolean
}

/** Questions are answered alike by all instances, change nothing, and answers stay as they are. */
export async function checkQuestions(
  bench: Bench,
  reference: Reference,
  questions: readonly Uint8Array[],
): Promise<void> {
  const { script } = bench
  const subject = await bench.subject('questions')
  if (subject.machine.query === undefined || questions.length === 0) return
  const twin = await bench.subject('questions', { call: inForeignTime })
  const answers: Answer[] = []
  let from = 0
  for (const place of script.some(PLACES)) {
    for (const step of script.between(from, place)) {
      subject.apply(step)
      twin.apply(step)
    }
    from = place
    const joiner = await bench.subject('questions')
    const seen = placeAfter(place)
    const installation = joiner.install(seen)
    joiner.add(installation, reference.states.get(place)!.chunks, seen)
    await joiner.commit(installation, script.timeAt(place), seen)
    for (const question of questions) {
      const answer = ask(subject, question, place)
      answers.push(answer)
      compareAnswers('two instances', answer, ask(twin, question, place))
      compareAnswers('a machine and one that installed its state', answer, ask(joiner, question, place))
    }
    const what = 'after questions, the state differs'
    compareStates('questions', seen, what, reference.states.get(place)!, await subject.state(seen))
  }
  for (const { question, place, bytes, copy } of answers) {
    if (bytes === undefined || copy === undefined || sameBytes(bytes, copy)) continue
    const what = `the answer to ${excerpt(question)} was ${excerpt(copy)}, and later commands made it ${excerpt(bytes)}`
    throw new MachineFault('questions', what, placeAfter(place))
  }
}

function ask(subject: Subject, question: Uint8Array, place: number): Answer {
  const asked = { question, place }
  try {
    const bytes = subject.ask(Uint8Array.from(question))
    const copy = bytes && Uint8Array.from(bytes)
    return { ...asked, bytes, copy, isMalformed: false }
  } catch (error) {
    if (asError(error) instanceof MalformedQuestion)
      return { ...asked, bytes: undefined, copy: undefined, isMalformed: true }
    throw faultOf('questions', `query(${excerpt(question)})`, placeAfter(place), error)
  }
}

function compareAnswers(who: string, one: Answer, other: Answer): void {
  const isSame =
    one.isMalformed === other.isMalformed &&
    (one.copy === undefined || other.copy === undefined
      ? one.copy === other.copy
      : sameBytes(one.copy, other.copy))
  if (isSame) return
  const what = `${who} answer ${excerpt(one.question)} with ${told(one)} and ${told(other)}`
  throw new MachineFault('questions', what, placeAfter(one.place))
}

function told({ copy, isMalformed }: Answer): string {
  if (copy !== undefined) return excerpt(copy)
  return isMalformed ? 'MalformedQuestion' : 'nothing'
}
