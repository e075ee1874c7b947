/** Comments and space, texts in quotes of four kinds, words and numbers, and any other character. */
const WORDS =
  /--[^\n]*|\/\*[\s\S]*?\*\/|\s+|'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|[\p{L}\p{N}_$]+|./gu
const NOTHING = /^(--|\/\*|\s)/

/**
 * SQL without what SQLite does not look at: space, comments, upper and lower case of words, and quotes around
 * names. An ALTER TABLE leaves a text behind that differs in those from one written by hand.
 */
export function wordsOf(sql: string): string {
  const words = (sql.match(WORDS) ?? []).filter((word) => !NOTHING.test(word))
  return words.map(plainWord).join(' ')
}

function plainWord(word: string): string {
  switch (word[0]) {
    case "'":
      return word
    case '"':
      return plainName(word.slice(1, -1).replaceAll('""', '"'))
    case '`':
      return plainName(word.slice(1, -1).replaceAll('``', '`'))
    case '[':
      return plainName(word.slice(1, -1))
    default:
      return word.toLowerCase()
  }
}

/** A name that needs quotes keeps them: it is no two words. */
function plainName(name: string): string {
  return /^[\p{L}\p{N}_$]+$/u.test(name) ? name.toLowerCase() : JSON.stringify(name.toLowerCase())
}
