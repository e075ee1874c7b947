import { stripTypeScriptTypes } from 'node:module'

const IMPORT = /(\bfrom\s*|\bimport\s*\(?\s*)(['"])([^'"\n]+)\2/g

/**
 * A module of the page as browsers run it: JavaScript, whose imports are addresses. What this repository serves from its
 * sources and what is built into `dist` is the same.
 */
export function browserModule(source: string): string {
  return strip(source).replaceAll(IMPORT, (_all, before: string, quote: string, specifier: string) => {
    return `${before}${quote}${addressOf(specifier)}${quote}`
  })
}

function addressOf(specifier: string): string {
  if (specifier === 'uplot') return './uplot.js'
  return specifier.startsWith('./') ? specifier.replace(/\.ts$/, '.js') : specifier
}

/** Node warns once that this function may change. It is used to develop and to build, where the tests tell of that. */
function strip(source: string): string {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return stripTypeScriptTypes(source)
  } finally {
    process.emitWarning = emitWarning
  }
}
