import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { rolldown } from 'rolldown'
import { ownAddress } from './own-address.ts'
import { rootParts } from './root-parts.ts'
import { writeTerms } from './terms.ts'

/** Threads and processes start from these files, by their addresses. A new one has to be named here. */
const STARTED = [
  'log/sqlite/log-thread',
  'machines/sqlite/index-thread',
  'testing/map-program',
  'cli/demo/bare-replay-process',
  'cli/demo/replica-program',
]
/** Only our messages use it, and of its 66 files they need a part. */
const INSIDE = /^@bufbuild\/protobuf/
/** What several files share. */
const CHUNKS = 'chunks'

/**
 * Put the modules of src/ into few files in dist/: one for each entry point of package.json, one for each module that
 * is started or loaded later, and those that they share. What npm installs stays outside, but for the code of messages.
 *
 * @param others further modules that keep a file of their name, without extensions
 */
export async function buildLibrary(root: string, dist: string, others: readonly string[]): Promise<void> {
  const src = join(root, 'src')
  const { exports, bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const points = Object.values<{ default?: string }>(exports).flatMap((point) => point.default ?? [])
  const names = [...points, ...Object.values<string>(bin)].map(
    (path) => /^\.\/dist\/(.*)\.js$/.exec(path)![1]!,
  )
  const input = Object.fromEntries(
    [...names, ...STARTED, ...others].map((name) => [name, join(src, `${name}.ts`)]),
  )
  const parts = rootParts(src)
  const build = await rolldown({
    input,
    platform: 'node',
    external: (id) => /^[^./]/.test(id) && !INSIDE.test(id),
    plugins: [ownAddress(src), parts.plugin],
  })
  const { output } = await build.write({
    dir: dist,
    format: 'esm',
    sourcemap: true,
    comments: { legal: true, annotation: true, jsdoc: false },
    entryFileNames: '[name].js',
    codeSplitting: { groups: parts.groups },
    chunkFileNames: `${CHUNKS}/[name].js`,
  })
  await build.close()
  writeTerms(join(dist, CHUNKS), output)
}
