import { plainJson } from '../../plain-text.ts'
import type { Output } from '../output.ts'
import { type Level, PinoSink } from './pino-sink.ts'
import { prettyLines } from './pretty.ts'

/** Lines of a log on standard error: for people on a terminal, and as JSON elsewhere and with `--json`. */
export function logTo(output: Output, level: Level): PinoSink {
  const isPretty = process.stderr.isTTY === true && !output.json
  const shown = isPretty ? prettyLines({ color: output.colors(process.stderr) }) : plainJson
  // Not through a worker's thread: a line is written before what comes next can end the process.
  return PinoSink.to({
    level,
    destination: { write: (json) => output.aside(shown(json.trimEnd()).trimEnd()) },
  })
}
