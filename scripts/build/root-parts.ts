import { join } from 'node:path'
import type { CodeSplittingGroup, Plugin } from 'rolldown'

/** What `import 'anchorage'` loads. */
const ROOT = 'index'
/**
 * Parts of it that are loaded without the rest, by whom. A module goes into the first part that it is in. A part holds
 * all that its modules import, so that nobody loads a later part for it.
 */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  errors: ['error-classes'],
  expiry: ['leases/index', 'time/index'],
  threads: ['log/sqlite/log-thread', 'machines/sqlite/index-thread'],
  // `anchorage init` runs on Node 20, which cannot read the syntax of the rest.
  commands: ['cli/run', 'cli/init/init', 'garbage-collection'],
  interfaces: ['log/index', 'machine/index'],
  // Beside a consensus of one's own, in a program that has a libp2p node already.
  sync: ['sync/index'],
}
/** What remains and needs no libp2p: commands load it to write to a log. */
const LIGHT = 'state'
/** What needs libp2p, whose 500 files take so long to load that a few lines more are no matter. */
const HEAVY = 'replica'
const LIBP2P = /^(libp2p|@libp2p\/(?!interface$)|@chainsafe\/|@multiformats\/|it-)/

/**
 * Says in which file a module goes of those that `import 'anchorage'` loads. There are eight. A bundler by itself makes
 * eighty: one for each set of modules that the same entry points share.
 */
export function rootParts(src: string): { readonly plugin: Plugin; readonly groups: CodeSplittingGroup[] } {
  const partOf = new Map<string, string>()
  const names = [...Object.keys(PARTS), LIGHT, HEAVY]
  return {
    plugin: {
      name: 'root-parts',
      buildEnd() {
        const importsOf = (id: string) => this.getModuleInfo(id)?.importedIds ?? []
        const loadedBy = (...entries: readonly string[]) =>
          entries.reduce(
            (found, entry) => load(join(src, `${entry}.ts`), importsOf, found),
            new Set<string>(),
          )
        const parts = Object.entries(PARTS).map(([part, by]) => [part, loadedBy(...by)] as const)
        for (const id of loadedBy(ROOT)) {
          const part = parts.find(([, members]) => members.has(id))?.[0]
          const needsLibp2p = () => [...load(id, importsOf)].some((one) => LIBP2P.test(one))
          partOf.set(id, part ?? (needsLibp2p() ? HEAVY : LIGHT))
        }
      },
    },
    groups: names.map((name, index) => ({
      name,
      priority: names.length - index,
      test: (id) => partOf.get(id) === name,
    })),
  }
}

/** Add a module to those that were found, and all that it imports. */
function load(
  id: string,
  importsOf: (id: string) => readonly string[],
  found = new Set<string>(),
): Set<string> {
  if (found.has(id)) return found
  found.add(id)
  for (const other of importsOf(id)) load(other, importsOf, found)
  return found
}
