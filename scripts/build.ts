/**
 * Make what is published, in dist/ of this folder or of the one that is named: the sources in few files, with source
 * maps, their types as TypeScript writes them, and what they read beside themselves. What a command loads to ask a
 * running replica is put together with all that it needs.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { browserModule } from '../src/observe/page/browser-module.ts'
import { bundle } from './build/bundle.ts'
import { buildLibrary } from './build/library.ts'

const root = dirname(import.meta.dirname)
const dist = join(resolve(process.argv[2] ?? root), 'dist')
const src = join(root, 'src')
const BIN = 'cli/main.js'
const BUNDLED = 'cli/ask-replicas'

// TypeScript exports no path to its compiler. So it is found relative to the path that is exported.
const tsc = join(dirname(fileURLToPath(import.meta.resolve('typescript/package.json'))), 'bin', 'tsc')

rmSync(dist, { recursive: true, force: true })
const project = ['--project', join(root, 'tsconfig.build.json'), '--outDir', dist]
execFileSync(process.execPath, [tsc, ...project], { stdio: 'inherit' })
await buildLibrary(root, dist, [BUNDLED])
for (const other of globSync('**/*{_pb.d.ts,.sql}', { cwd: src })) cpSync(join(src, other), join(dist, other))
const client = 'observe/page/client'
for (const name of globSync('*.{html,css,svg}', { cwd: join(src, client) }))
  cpSync(join(src, client, name), join(dist, client, name))
for (const name of globSync('*.ts', { cwd: join(src, client) })) {
  const module = browserModule(readFileSync(join(src, client, name), 'utf8'))
  writeFileSync(join(dist, client, name.replace(/ts$/, 'js')), module)
}
// The project that "anchorage init" writes is TypeScript, and stays so.
const template = 'cli/init/template'
cpSync(join(src, template), join(dist, template), { recursive: true })
await bundle(src, dist, BUNDLED, 'cli/bundled')
chmodSync(join(dist, BIN), 0o755)
