import manifest from '../../package.json' with { type: 'json' }

/** The source of each entry point, by the name that programs import: `anchorage/log` is `src/log/index.ts`. */
export const ENTRY_POINTS: ReadonlyMap<string, URL> = new Map(
  Object.entries(manifest.exports).flatMap(([path, target]): [string, URL][] => {
    if (typeof target === 'string') return []
    const source = target.default.replace(/^\.\/dist\/(.*)\.js$/, '../../src/$1.ts')
    return [[path.replace(/^\./, 'anchorage'), new URL(source, import.meta.url)]]
  }),
)
