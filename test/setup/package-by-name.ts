import { registerHooks } from 'node:module'
import { ENTRY_POINTS } from './entry-points.ts'

/**
 * For `--import`: who imports the package by its name gets the sources, at each of its entry points. A program that
 * imports this file itself does so first, and what it needs of the examples by `await import`: Node resolves all static
 * imports before any of them runs.
 */
registerHooks({
  resolve: (specifier, context, next) => next(ENTRY_POINTS.get(specifier)?.href ?? specifier, context),
})
