import { join } from 'node:path'
import type { CodeSplittingGroup, Plugin, PluginContext } from 'rolldown'

/** What `import 'anchorage'` loads. */
const ROOT = 'index'
/**
 * Parts of it that are loaded without the rest, by whom. A module goes into the first part that it is in. A part holds
 * all that its modules import, so that nobody loads a later part for it.
 */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  expiry: ['expiry', 'leases/index'],
  threads: ['log/sqlite/reader', 'log/sqlite/writer', 'machines/sqlite/index-thread'],
  // `anchorage init` runs on Node 20, which cannot read the syntax of the rest.
  commands: ['cli/run', 'cli/init/init', 'garbage-collection'],
}
/** What remains and needs no libp2p, and what does. To load libp2p takes so long that the size of the last is no matter. */
const LIGHT = 'state'
const HEAVY = 'replica'
const LIBP2P = /^(libp2p|@libp2p\/(?!interface$)|@chainsafe\/|@multiformats\/|it-)/

/**
 * Says in which file a module goes of those that `import 'anchorage'` loads. There are five. A bundler by itself makes
 * eighty: one for each set of modules that the same entry points share.
 */
export function rootParts(src: string): { readonly plugin: Plugin; readonly groups: CodeSplittingGroup[] } {
  const partOf = new Map<string, string>()
  const names = [...Object.keys(PARTS), LIGHT, HEAVY]
  return {
    plugin: {
      name: 'root-parts',
      buildEnd() {
        const loads = (name: string) => closure(this, join(src, `${name}.ts`))
        const parts = Object.entries(PARTS).map(
          ([part, by]) => [part, new Set(by.flatMap((name) => [...loads(name)]))] as const,
        )
        for (const id of loads(ROOT)) {
          const part = parts.find(([, members]) => members.has(id))?.[0]
          const needsLibp2p = () => [...closure(this, id)].some((one) => LIBP2P.test(one))
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

/** The module, and all that are loaded with it. */
function closure({ getModuleInfo }: PluginContext, id: string, found = new Set<string>()): Set<string> {
  if (found.has(id)) return found
  found.add(id)
  for (const other of getModuleInfo(id)?.importedIds ?? [])
    closure({ getModuleInfo } as PluginContext, other, found)
  return found
}
