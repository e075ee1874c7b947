import { spawnSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { completionScript, type Shell } from '../../src/cli/completion/script.ts'
import { DescribedProgram, SettingsFolder } from './program.ts'

const script = (shell: Shell) => completionScript(shell, new DescribedProgram().program)

/** What bash offers for each command line, whose last word is to be completed. */
async function offered(...lines: readonly string[][]): Promise<string[][]> {
  await using folder = await SettingsFolder.make()
  await mkdir(folder.path('replica'))
  await writeFile(folder.path('replica/a b.ts'), '')
  await writeFile(folder.path('replica/app.yaml'), '')
  const asked = lines.map((words) => {
    const quoted = words.map((word) => `'${word}'`).join(' ')
    return `COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}; _anchorage; printf '%s\\n' "\${COMPREPLY[@]}"; echo .`
  })
  const { stdout, stderr, status } = spawnSync('bash', ['--norc', '-u'], {
    cwd: folder.dir,
    input: `${script('bash')}\n${asked.join('\n')}\n`,
    encoding: 'utf8',
  })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  const answers = stdout.split('\n.\n').slice(0, -1)
  return answers.map((answer) => answer.split('\n').filter((word) => word !== ''))
}

test('bash completes commands, flags, values and files', async () => {
  const files = ['replica/a b.ts', 'replica/app.yaml']
  const cases: (readonly [string[], string[]])[] = [
    [['st'], ['status']],
    [['--log', 'x.db', 'st'], ['status']],
    [['--group', 'status', 'mem'], ['members']],
    [['--log', '=', 'x.db', 'mem'], ['members']],
    [['node', '--ke'], ['--keep']],
    [['status', '--ke'], []],
    [['status', '--gr'], ['--group']],
    [['--netw'], ['--network-key']],
    [['node', '--data', 'replica/'], files],
    [['node', '--data', '=', 'replica/'], files],
    [['node', '--data', 'st'], []],
    [['node', '--group', ''], []],
    [['node', '--keep', '5', '--vola'], ['--volatile']],
    [
      ['--log-replicas', ''],
      ['1', '3', '5'],
    ],
    [
      ['--log-replicas', '='],
      ['1', '3', '5'],
    ],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
    [['config', 'no'], ['node']],
    [['help', 'pru'], ['prune']],
    [['export', '--force', 'replica/'], files],
    [['set', 'key', 'st'], []],
  ]
  const answers = await offered(...cases.map(([words]) => ['anchorage', ...words]))
  expect(answers.map((words) => words.sort())).toEqual(cases.map(([, words]) => [...words].sort()))
  const [commands] = await offered(['anchorage', ''])
  expect(commands).toEqual(expect.arrayContaining(['node', 'status', 'config', 'completion', 'help']))
  expect(commands).not.toContain('global')
})

test.each(['zsh', 'fish'] as const)('the script for %s has each command and each flag', (shell) => {
  const text = script(shell)
  const { program, configuration } = new DescribedProgram()
  for (const command of program.commands.filter((each) => each.name() !== 'global'))
    expect(text).toContain(command.name())
  for (const { flag, isSwitch } of configuration.settings)
    expect(text).toContain(shell === 'fish' ? `-l ${flag.slice(2)} ` : `${flag}${isSwitch ? '[' : '=['}`)
  const { status, error } = spawnSync(shell, ['-n'], { input: text })
  // It is checked where that shell is installed.
  if (error === undefined) expect(status).toBe(0)
})
