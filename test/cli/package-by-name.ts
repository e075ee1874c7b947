import { registerHooks } from 'node:module'

/** For `--import`: a user's module imports the package by its name, and gets the sources that the command runs. */
const SOURCES: Readonly<Record<string, string>> = {
  anchorage: '../../src/index.ts',
  'anchorage/log': '../../src/log/index.ts',
  'anchorage/machines': '../../src/machines/index.ts',
}

registerHooks({
  resolve(specifier, context, next) {
    const source = SOURCES[specifier]
    return next(source === undefined ? specifier : new URL(source, import.meta.url).href, context)
  },
})
