/**
 * Characters that a terminal obeys, or that change how the rest of a line reads: controls, marks of direction, ends
 * of lines and halves of characters. The two joiners within words of several scripts are neither.
 */
const OBEYED = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu

const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/**
 * A text of others as one line for people, in which a terminal finds nothing to obey: each such character is written
 * as an escape.
 *
 * @example
 * ```ts
 * plainText('a\x1b[2Jb\n') // 'a\\x1b[2Jb\\n'
 * ```
 */
export function plainText(text: string): string {
  return text.replaceAll(OBEYED, (character) => NAMED[character] ?? escaped(character.codePointAt(0)!))
}

/** The same for JSON, of which it changes nothing but the looks: it is parsed to the same value. */
export function plainJson(json: string): string {
  return json.replaceAll(OBEYED, (character) =>
    Array.from({ length: character.length }, (_, at) => `\\u${hex(character.charCodeAt(at), 4)}`).join(''),
  )
}

function escaped(code: number): string {
  if (code <= 0xff) return `\\x${hex(code, 2)}`
  return code <= 0xffff ? `\\u${hex(code, 4)}` : `\\u{${hex(code, 1)}}`
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0')
}
