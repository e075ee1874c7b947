/**
 * Builds the static site into site/: the pages of docs/, and the reference of each entry point from the comments in src/.
 * Fails for an exported name without a comment, for a link in a comment that leads nowhere, and for a dead link.
 */
import { globSync, readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ENTRY_POINTS } from '../test/setup/entry-points.ts'
import { deadLinks } from './site/dead-links.ts'

// TypeDoc needs the compiler as a library, and TypeScript 7 is none. So it gets the last one that is.
registerHooks({
  resolve: (specifier, context, next) =>
    next(specifier === 'typescript' ? 'typescript-api' : specifier, context),
})
const { Application, TSConfigReader, TypeDocReader } = await import('typedoc')

/** It is `anchorage/leases` by another name. */
const OLDER_NAME = 'anchorage/expiry'
const sources = new Map(
  [...ENTRY_POINTS].filter(([name]) => name !== OLDER_NAME).map(([name, url]) => [fileURLToPath(url), name]),
)

/** The pages in the order in which the map of the documents has them, then all others. */
function pages(): string[] {
  const map = readFileSync('docs/README.md', 'utf8')
  const listed = Array.from(map.matchAll(/\]\(([^)#]+\.md)/g), ([, path]) => join('docs', path!))
  return [...new Set([...listed, ...globSync('docs/**/*.md').sort()])].filter((path) => path !== 'README.md')
}

/** The first heading of a page, which is its name in the list of pages. */
function headingOf(content: readonly { readonly text: string }[]): string | undefined {
  return /^# (.+)$/m.exec(content.map(({ text }) => text).join(''))?.[1]
}

const app = await Application.bootstrap({ entryPoints: [...sources.keys()], projectDocuments: pages() }, [
  new TypeDocReader(),
  new TSConfigReader(),
])
const project = await app.convert()
if (project === undefined) process.exit(1)
for (const module of project.children ?? []) {
  const name = sources.get(project.files.getReflectionPath(module) ?? '')
  if (name !== undefined) module.name = name
}
for (const page of project.documents ?? []) page.name = headingOf(page.content) ?? page.name
// TypeDoc writes the name of the project above it.
for (const part of project.readme ?? []) part.text = part.text.replace(/^# .+\n/, '')
app.validate(project)
await app.generateOutputs(project)
const dead = await deadLinks(app.options.getValue('out'))
for (const link of dead) console.error(`dead link: ${link}`)
if (app.logger.hasErrors() || app.logger.hasWarnings() || dead.length > 0) process.exitCode = 1
