const WILDCARDS = new Set(['*', '>'])

/** Whether a text is a subject that can be published on. */
export function isSubject(text: string): boolean {
  return !/\s/.test(text) && text.split('.').every((word) => word !== '' && !WILDCARDS.has(word))
}

/** Whether `pattern`, which may have wildcards, covers `subject`. */
export function covers(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.')
  const words = subject.split('.')
  for (const [at, word] of wanted.entries()) {
    if (word === '>') return words.length > at
    if (words[at] === undefined || (word !== '*' && word !== words[at])) return false
  }
  return words.length === wanted.length
}
