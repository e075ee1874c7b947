import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'

/**
 * For `--import`: who imports the package by its name gets the sources, at each of its entry points. A program that
 * imports this file itself does so first, and what it needs of the examples by `await import`: Node resolves all static
 * imports before any of them runs.
 */
const PACKAGE = new URL('../../package.json', import.meta.url)
const { exports } = JSON.parse(readFileSync(PACKAGE, 'utf8'))

registerHooks({
  resolve(specifier, context, next) {
    const [, entry] = /^anchorage(\/.+)?$/.exec(specifier) ?? []
    const found = specifier.startsWith('anchorage') ? exports[`.${entry ?? ''}`] : undefined
    if (found === undefined) return next(specifier, context)
    const source = found.default.replace('./dist/', './src/').replace(/\.js$/, '.ts')
    return next(new URL(source, PACKAGE).href, context)
  },
})
