import { expect, test } from 'vitest'
import { PinoSink } from '../../src/cli/logging/pino-sink.ts'
import { prettyLines } from '../../src/cli/logging/pretty.ts'
import { LOG_LEVELS } from '../../src/logging/line.ts'

const err = { type: 'Busy', code: 'BUSY', message: '3 anchors are in use' }
const line = {
  level: 'warn',
  component: 'sync',
  text: 'a peer failed it',
  fields: { event: 'fault', catchUp: '00c0ffee12345678', peer: 'p', why: undefined, err },
} as const

function written(
  level: Parameters<typeof PinoSink.to>[0]['level'],
  tell: (sink: PinoSink) => void,
): string[] {
  const lines: string[] = []
  tell(PinoSink.to({ level, destination: { write: (text) => void lines.push(text) } }))
  return lines
}

test('a line is an object with its level and time, what all lines have, and its own fields', () => {
  const [json] = written('info', (sink) => sink.with({ group: 'g', replica: 'r' }).write(line))
  expect(json).toMatch(/^\{.*\}\n$/)
  expect(JSON.parse(json!)).toEqual({
    level: 'warn',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    group: 'g',
    replica: 'r',
    component: 'sync',
    event: 'fault',
    catchUp: '00c0ffee12345678',
    peer: 'p',
    err,
    msg: 'a peer failed it',
  })
})

test.each([...LOG_LEVELS, 'silent'] as const)('at level %s lines below it are not shown', (level) => {
  const at = [...LOG_LEVELS, 'silent'].indexOf(level)
  written(level, (sink) => {
    expect(sink.enabled).toBe(level !== 'silent')
    expect(LOG_LEVELS.filter((each) => sink.shows({ level: each }))).toEqual(LOG_LEVELS.slice(at))
  })
  const lines = written(level, (sink) => {
    for (const each of LOG_LEVELS) sink.write({ ...line, level: each })
  })
  expect(lines.map((json) => JSON.parse(json).level)).toEqual(LOG_LEVELS.slice(at))
})

test('for people it is one line, with the fields after the words', () => {
  const [json] = written('info', (sink) => sink.with({ group: 'g', replica: 'r' }).write(line))
  expect(prettyLines({ color: false })(json!)).toMatch(
    /^\[\d\d:\d\d:\d\d\.\d{3}\] WARN: sync: a peer failed it event=fault catchUp=00c0ffee12345678 peer=p err="Busy: 3 anchors are in use" code=BUSY\n$/,
  )
  const [note] = written('info', (sink) => sink.say('info', 'made an empty log'))
  expect(prettyLines({ color: false })(note!)).toMatch(/^\[.*\] INFO: made an empty log\n$/)
  expect(prettyLines({ color: true })(note!)).toContain('\u001b[')
})
