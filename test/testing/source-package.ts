import { registerHooks } from 'node:module'

/** The examples import the package by its name, as users do; in the processes of a test it is the source. */
const ENTRIES = new Map([
  ['anchorage', '../../src/index.ts'],
  ['anchorage/log', '../../src/log/index.ts'],
  ['anchorage/machines', '../../src/machines/index.ts'],
  ['anchorage/testing', '../../src/testing/index.ts'],
  ['anchorage/testing/log', '../../src/testing/log/index.ts'],
])

registerHooks({
  resolve(specifier, context, next) {
    const entry = ENTRIES.get(specifier)
    return next(entry === undefined ? specifier : import.meta.resolve(entry), context)
  },
})
