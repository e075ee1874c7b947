import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Lockfile, lockfileFindings } from '../../scripts/package/lockfile.ts'
import { isHigher, isVersion } from '../../scripts/package/version.ts'

const RELEASE = fileURLToPath(new URL('../../scripts/release.ts', import.meta.url))
const INTEGRITY = `sha512-${'A'.repeat(86)}==`

/** Commands that do nothing, in the place of those that take half an hour. */
const MANIFEST = {
  name: 'thing',
  version: '0.2.0',
  license: 'MIT',
  files: ['index.js'],
  scripts: { check: 'node --version', test: 'node --version', 'test:package': 'node --version' },
  repository: { type: 'git', url: 'git+https://example.com/thing.git' },
  homepage: 'https://example.com/thing',
  bugs: { url: 'https://example.com/thing/issues' },
  dependencies: { dependency: '1.0.0' },
}
const LOCK = {
  name: 'thing',
  version: '0.2.0',
  lockfileVersion: 3,
  requires: true,
  packages: {
    '': { name: 'thing', version: '0.2.0', dependencies: MANIFEST.dependencies },
    'node_modules/dependency': { version: '1.0.0', integrity: INTEGRITY, license: 'MIT' },
  },
}
const CHANGELOG =
  '# Changelog\n\n## 0.10.0 - 2026-12-01\n\n- A thing.\n\n## [0.3.0] - 2026-11-30\n\n- Another.\n'

let root: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'anchorage-release-'))
  mkdirSync(join(root, 'docs'))
  write('package.json', MANIFEST)
  write('package-lock.json', LOCK)
  writeFileSync(join(root, 'docs/CHANGELOG.md'), CHANGELOG)
  writeFileSync(join(root, 'index.js'), 'export {}\n')
  writeFileSync(join(root, '.gitignore'), '/release/\n')
  writeCreate()
  git('init', '--quiet')
  commit()
})

afterEach(() => rmSync(root, { recursive: true, force: true }))

/** What `npm create thing` would run. */
function writeCreate(): void {
  for (const folder of ['src/cli/create', 'src/cli/init/template'])
    mkdirSync(join(root, folder), { recursive: true })
  write('src/cli/create/package.json', {
    name: 'create-thing',
    version: '0.0.0',
    files: ['main.js', 'template'],
  })
  writeFileSync(join(root, 'src/cli/create/main.ts'), 'console.log(1)\n')
  for (const name of ['src/cli/create/README.md', 'LICENSE-APACHE', 'LICENSE-MIT', 'src/cli/init/template/a'])
    writeFileSync(join(root, name), 'text\n')
}

function write(name: string, content: object): void {
  writeFileSync(join(root, name), `${JSON.stringify(content, undefined, 2)}\n`)
}

function read(name: string) {
  return JSON.parse(readFileSync(join(root, name), 'utf8'))
}

const WHO = { GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@example.com' }
const env = {
  ...process.env,
  ...WHO,
  GIT_COMMITTER_NAME: 'a',
  GIT_COMMITTER_EMAIL: 'a@example.com',
  GIT_CONFIG_GLOBAL: '/dev/null',
}

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8', env }).trimEnd()
}

function commit(): void {
  git('add', '--all')
  git('commit', '--quiet', '--message', 'what there is')
}

function release(...args: string[]) {
  return spawnSync(process.execPath, [RELEASE, ...args], { cwd: root, encoding: 'utf8', env })
}

function state() {
  return { head: git('rev-parse', 'HEAD'), tags: git('tag'), version: read('package.json').version }
}

describe('a release is refused, and nothing is changed,', () => {
  const refused = (args: string[], message: RegExp): void => {
    const before = state()
    const { status, stdout, stderr } = release(...args)
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toMatch(message)
    // One reason, and no other.
    expect(stderr.match(/^refused: /gm)).toHaveLength(1)
    expect(state()).toEqual(before)
  }

  test('with changes that are in no commit', () => {
    appendFileSync(join(root, 'index.js'), '\n')
    writeFileSync(join(root, 'new.js'), '')
    refused(['0.3.0'], /changes that are not in a commit.*\n M index\.js\n\?\? new\.js\n$/)
  })

  test.each(['0.2.0', '0.1.9', '0.2.0-rc.1'])('if the version is not higher: %s', (version) => {
    appendFileSync(join(root, 'docs/CHANGELOG.md'), `\n## ${version} - 2026-11-01\n`)
    commit()
    refused([version], /is not higher than 0\.2\.0, which package\.json has/)
  })

  test.each(['v0.3.0', '0.3', '0.3.0-next', '0.3.0+1', '('])('if %s is no version of ours', (version) => {
    refused([version], /is not a version\. Give one as 1\.2\.3, or 1\.2\.3-rc\.1/)
  })

  test('if the version has a tag', () => {
    git('tag', 'v0.3.0')
    refused(['0.3.0'], /there is a tag v0\.3\.0 already/)
  })

  test.each(['0.3.1', '0.3.0-rc.1', '10.0.0'])('if the changelog says nothing of %s', (version) => {
    refused([version], /docs\/CHANGELOG\.md says nothing of .*Begin its part with: ## /)
  })

  test.each(['repository', 'homepage', 'bugs'] as const)('if package.json has no %s', (field) => {
    const { [field]: _, ...rest } = MANIFEST
    write('package.json', rest)
    commit()
    refused(['0.3.0'], new RegExp(`package\\.json has no ${field}\\. Set it: npm pkg set ${field}`))
  })

  test('if a package of the lockfile has no hash', () => {
    write('package-lock.json', {
      ...LOCK,
      packages: { ...LOCK.packages, 'node_modules/b': { version: '1.0.0' } },
    })
    commit()
    refused(['0.3.0'], /package-lock\.json: node_modules\/b has no SHA-512 hash/)
  })
})

test.each([[[]], [['0.3.0', '0.4.0']], [['0.3.0', '--dry-runs']]])('%j is wrong usage', (args) => {
  const { status, stderr } = release(...args)
  expect(status).toBe(2)
  expect(stderr).toContain('usage: npm run release -- VERSION [--dry-run]')
})

test('--dry-run prints what it would run, and runs nothing', () => {
  const before = state()
  const { status, stdout, stderr } = release('0.3.0', '--dry-run')
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout.split('\n').slice(0, 4)).toEqual([
    'npm run check',
    'npm test',
    'npm run test:package',
    'npm version 0.3.0 --no-git-tag-version',
  ])
  expect(stdout).toContain('git tag --annotate v0.3.0 --message 0.3.0')
  expect(state()).toEqual(before)
  expect(git('status', '--porcelain', '--ignored')).toBe('')
})

test('a release is a commit with its tag, an archive, what it depends on, and their sums', () => {
  const { head } = state()
  const { status, stdout } = release('0.10.0')
  expect(status).toBe(0)
  expect(git('log', '-1', '--format=%s', '--name-only')).toBe(
    'Release 0.10.0\n\npackage-lock.json\npackage.json',
  )
  expect(git('rev-parse', 'v0.10.0^{commit}', 'HEAD^')).toBe(`${git('rev-parse', 'HEAD')}\n${head}`)
  expect([read('package.json').version, read('package-lock.json').version]).toEqual(['0.10.0', '0.10.0'])
  expect(git('status', '--porcelain')).toBe('')

  const out = join(root, 'release/0.10.0')
  const archives = ['thing-0.10.0.tgz', 'create-thing-0.10.0.tgz']
  expect(readdirSync(out).sort()).toEqual(['SHA256SUMS', archives[1], 'thing-0.10.0.cdx.json', archives[0]])
  const sums = [...archives, 'thing-0.10.0.cdx.json'].map((name) => {
    const sum = createHash('sha256')
      .update(readFileSync(join(out, name)))
      .digest('hex')
    return `${sum}  ${name}\n`
  })
  expect(readFileSync(join(out, 'SHA256SUMS'), 'utf8')).toBe(sums.join(''))
  const { bomFormat, metadata, components } = read('release/0.10.0/thing-0.10.0.cdx.json')
  expect([bomFormat, metadata.component.name, metadata.component.version]).toEqual([
    'CycloneDX',
    'thing',
    '0.10.0',
  ])
  expect(components).toMatchObject([{ name: 'dependency', hashes: [{ alg: 'SHA-512' }] }])
  expect(stdout).toContain('git push origin HEAD v0.10.0\n')
  for (const archive of archives) expect(stdout).toContain(`  npm publish --provenance ${archive}\n`)
})

test.each([
  ['check', 'Command failed: npm run check'],
  ['prepack', 'Command failed: npm pack'],
])('if %s fails, the version stays as it was', (name, message) => {
  write('package.json', { ...MANIFEST, scripts: { ...MANIFEST.scripts, [name]: 'node --no-such-flag' } })
  commit()
  const before = state()
  const { status, stderr } = release('0.3.0')
  expect(status).toBe(1)
  expect(stderr).toContain(`error: ${message}`)
  expect(state()).toEqual(before)
  expect(git('status', '--porcelain')).toBe('')
})

test('versions are compared by number, and one that is tried first comes before its release', () => {
  const ordered = [
    '0.2.9',
    '0.2.10',
    '0.10.0',
    '1.0.0-alpha.9',
    '1.0.0-beta.1',
    '1.0.0-rc.2',
    '1.0.0-rc.10',
    '1.0.0',
  ]
  for (const [n, version] of ordered.entries()) {
    expect(isVersion(version)).toBe(true)
    expect(ordered.filter((other) => isHigher(other, version))).toEqual(ordered.slice(n + 1))
  }
})

describe('of the lockfile it is told', () => {
  const manifest = { version: '0.2.0', allowScripts: { scripted: true } }
  const scripted = { version: '1.0.0', integrity: INTEGRITY, hasInstallScript: true, dev: true }
  const findings = (packages: Lockfile['packages'], more: object = {}) =>
    lockfileFindings(
      { ...LOCK, packages: { ...LOCK.packages, 'node_modules/scripted': scripted, ...packages }, ...more },
      manifest,
    )

  test('nothing, if all is well', () => {
    const resolved = 'https://registry.npmjs.org/a/-/a-1.0.0.tgz'
    expect(findings({ 'node_modules/a': { version: '1.0.0', integrity: INTEGRITY, resolved } })).toEqual([])
  })

  test.each([
    ['git+ssh://git@example.com/a.git#1', /from git\+ssh/],
    ['https://registry.npmjs.org.example.com/a.tgz', /from https:\/\/registry\.npmjs\.org\.example/],
    ['file:../a.tgz', /from file:/],
  ])('that %s is another place', (resolved, message) => {
    expect(findings({ 'node_modules/a': { version: '1.0.0', integrity: INTEGRITY, resolved } })).toEqual([
      expect.stringMatching(message),
    ])
  })

  test('that a package has no hash, or a weak one', () => {
    const weak = { version: '1.0.0', integrity: 'sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=' }
    expect(findings({ 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': weak })).toEqual([
      'node_modules/a has no SHA-512 hash',
      'node_modules/b has no SHA-512 hash',
    ])
  })

  test('that only the builds that are known may lack one, and only while they are optional', () => {
    const path = 'node_modules/@napi-rs/blake-hash-darwin-arm64'
    expect(findings({ [path]: { version: '1.3.6', optional: true } })).toEqual([])
    expect(findings({ [path]: { version: '1.3.7', optional: true } })).toHaveLength(1)
    expect(findings({ [path]: { version: '1.3.6' } })).toHaveLength(1)
    expect(
      findings({ 'node_modules/@napi-rs/blake-hash-linux-x64-gnu': { version: '1.3.6', optional: true } }),
    ).toHaveLength(1)
  })

  test('that a script is not decided on, or that users would run it', () => {
    const { dev: _, ...forUsers } = scripted
    expect(
      findings({ 'node_modules/a': scripted, 'node_modules/b/node_modules/scripted': forUsers }),
    ).toEqual([
      'node_modules/a has a script, and allowScripts of package.json does not say whether it may run',
      'node_modules/b/node_modules/scripted runs a script where Anchorage is installed',
    ])
  })

  test('that package.json allows what is not there', () => {
    expect(lockfileFindings(LOCK, manifest)).toEqual([
      'allowScripts of package.json names scripted, which has no script',
    ])
  })

  test('that it is of another version of the package', () => {
    expect(findings({}, { version: '0.1.0' })).toEqual(['it is of version 0.1.0 of the package, not 0.2.0'])
  })
})
