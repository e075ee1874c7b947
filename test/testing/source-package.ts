import { registerHooks } from 'node:module'
import { ENTRY_POINTS } from '../setup/entry-points.ts'

/** The examples import the package by its name, as users do; in the processes of a test it is the source. */
registerHooks({
  resolve: (specifier, context, next) => next(ENTRY_POINTS.get(specifier)?.href ?? specifier, context),
})
