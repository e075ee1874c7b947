import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { optionsOf, type Setting } from '../../src/cli/settings/setting.ts'
import { LEASE_MS_DEFAULT } from '../../src/group/leadership.ts'
import { SNAPSHOT_AFTER_DEFAULT } from '../../src/replica/init.ts'
import { CHUNK_BYTES_DEFAULT } from '../../src/snapshot/cut.ts'
import { TTL_MS_DEFAULT } from '../../src/sync/limits.ts'
import { DescribedProgram } from './program.ts'

const PAGE = fileURLToPath(new URL('../../docs/configuration.md', import.meta.url))
const TABLES =
  /(?<=<!-- the tables, by test\/settings\/documented\.test\.ts -->\n).*(?=\n<!-- end of the tables -->)/s

/** For a cell of Markdown, where <…> would be HTML and | ends the cell. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll(/[<>*]/g, '\\$&')
}

function row(setting: Setting): string {
  const { option, key } = setting
  const settable = setting.isOfOneCall ? ['a flag only', ''] : [`\`${setting.variable}\``, `\`${key}\``]
  const defaults = setting.defaultTexts.map((text) => `\`${text}\``).join(', ')
  return `| \`${option.flags}\` | ${[...settable, setting.isOfOneCall ? '' : defaults, cell(option.description)].join(' | ')} |`
}

function tables(): string {
  const { program } = new DescribedProgram()
  return (
    [program, ...program.commands]
      // One that has the options of another command has no settings of its own.
      .filter((command) => optionsOf(program).some((each) => each.command === command))
      .map((command) => {
        const isProgram = command === program
        const heading = isProgram ? 'Of all commands' : `anchorage ${command.name()}`
        const where = isProgram ? 'at the top of the file' : `in the section \`${command.name()}\``
        const rows = optionsOf(program).filter((each) => each.command === command && each.key !== 'version')
        const head = `| flag | variable | key ${where} | default | what it is |\n| --- | --- | --- | --- | --- |`
        return `\n### ${heading}\n\n${head}\n${rows.map(row).join('\n')}\n`
      })
      .join('')
  )
}

// The command line does not load the modules that hold these: it would take longer to start.
test('the help of node has the defaults that replicas have', () => {
  const { settings } = new DescribedProgram().configuration
  for (const [name, value] of [
    ['node.chunk-bytes', CHUNK_BYTES_DEFAULT],
    ['node.ttl-ms', TTL_MS_DEFAULT],
    ['node.lease-ms', LEASE_MS_DEFAULT],
    ['node.snapshot-after', SNAPSHOT_AFTER_DEFAULT],
  ])
    expect(settings.find((each) => each.name === name)!.option.description).toContain(`default: ${value}`)
})

// After a change of flags: npx vitest run test/settings/documented.test.ts --update
test('the page has each flag, its variable, its key in a file and its default', async () => {
  const page = await readFile(PAGE, 'utf8')
  expect(page).toMatch(TABLES)
  await expect(page.replace(TABLES, () => tables())).toMatchFileSnapshot(PAGE)
})
