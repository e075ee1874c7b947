import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { Output } from '../../src/cli/output.ts'
import { describeProgram } from '../../src/cli/program/program.ts'

const FOLDER = new URL('../../docs/examples/deploy/', import.meta.url)
const read = (name: string) => readFileSync(new URL(name, FOLDER), 'utf8')

/** Throws for an option that there is not. */
function understand(args: readonly string[]): void {
  const output = new Output({ json: false, color: false })
  describeProgram(() => {}, output).parse([...args], { from: 'user' })
}

const unit = read('anchorage.service')

test('the command line of the service is one', () => {
  const [, line] = /^ExecStart=\S+ (.+)$/m.exec(unit)!
  understand(line!.replace('%S', '/var/lib').split(' '))
  expect(unit).toContain('RestartPreventExitStatus=2 3')
  // Its messages come from a child, whose socket is of this family.
  expect(unit).toMatch(/^Type=notify$.*^NotifyAccess=all$.*^RestrictAddressFamilies=.*\bAF_UNIX\b/ms)
  expect(() => understand(['node', '--no-such-option'])).toThrow(/unknown option/)
})

const analyze = spawnSync('systemd-analyze', ['--version']).status === 0
if (!analyze) console.warn('*** systemd-analyze is not installed: ITS CHECK OF THE SERVICE IS SKIPPED ***')

test.skipIf(!analyze)('systemd takes the service', () => {
  const folder = mkdtempSync(join(tmpdir(), 'anchorage-unit-'))
  try {
    const verify = (text: string) => {
      const path = join(folder, 'anchorage.service')
      // What it starts is not installed here.
      writeFileSync(path, text.replaceAll('/usr/local/bin/anchorage', process.execPath))
      return spawnSync('systemd-analyze', ['verify', path], { encoding: 'utf8' })
    }
    expect(verify(unit)).toMatchObject({ status: 0, stderr: '' })
    expect(verify(unit.replace('Restart=', 'Restort=')).stderr).toContain('Restort')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('the command line of the image is one, and its health check asks for what there is', () => {
  const dockerfile = read('Dockerfile')
  const [, command] = /^CMD (.+)$/m.exec(dockerfile)!
  understand(JSON.parse(command!))
  const [, check] = /^ {2}CMD (.+)$/m.exec(dockerfile)!
  const [program, flag, script] = JSON.parse(check!)
  expect([program, flag]).toEqual(['node', '-e'])
  expect(script).toContain('http://127.0.0.1:9464/healthz')
  // Nobody listens there, or something else does.
  const { status } = spawnSync(process.execPath, ['-e', script.replace(':9464', ':1')])
  expect(status).toBe(1)
})

test('the parts of the stateful set fit together', () => {
  const documents = parseAllDocuments(read('statefulset.yaml'))
  expect(documents.flatMap(({ errors }) => errors)).toEqual([])
  const [service, budget, set] = documents.map((one) => one.toJS())
  expect([service, budget, set].map(({ kind }) => kind)).toEqual([
    'Service',
    'PodDisruptionBudget',
    'StatefulSet',
  ])
  const { template, serviceName, selector, volumeClaimTemplates } = set.spec
  expect(serviceName).toBe(service.metadata.name)
  for (const labels of [service.spec.selector, budget.spec.selector.matchLabels, selector.matchLabels])
    expect(labels).toEqual(template.metadata.labels)
  const [container] = template.spec.containers
  understand(container.args)
  expect(container.args).toContain(`--announce=/dns4/$(POD_NAME).${serviceName}/tcp/4001`)
  const ports = new Map<string, number>(
    container.ports.map(({ name, containerPort }: { name: string; containerPort: number }) => [
      name,
      containerPort,
    ]),
  )
  expect(Object.fromEntries(ports)).toEqual({ sync: 4001, http: 9464 })
  for (const { name, port } of service.spec.ports) expect(ports.get(name)).toBe(port)
  expect(container.args).toContain('--http=0.0.0.0:9464')
  expect(container.livenessProbe.httpGet).toEqual({ path: '/healthz', port: 'http' })
  expect(container.readinessProbe.httpGet).toEqual({ path: '/readyz', port: 'http' })
  const [{ name, mountPath }] = container.volumeMounts
  expect(volumeClaimTemplates.map((claim: { metadata: { name: string } }) => claim.metadata.name)).toEqual([
    name,
  ])
  expect(container.args.some((arg: string) => arg.startsWith(`--data=${mountPath}/`))).toBe(true)
})
