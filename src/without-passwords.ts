/** Values of parameters with such names, in a URL and in a list such as `host=a password=b`. */
const PARAMETER = /((?:^|[?&\s;"'])[a-z_-]*(?:password|passwd|secret|token)=)[^&\s"']+/gi

/**
 * A text without the users and passwords of the URLs in it: an error may repeat an argument. It takes as long as the
 * text is long, whatever that says: a peer may have written it.
 */
export function withoutPasswords(text: string): string {
  return text.replaceAll(/\S+/g, withoutUserInfo).replaceAll(PARAMETER, '$1…')
}

/** A word without what stands between the :// and the last @ in it: a password may have an @. */
function withoutUserInfo(word: string): string {
  const from = word.indexOf('://') + 3
  const to = word.lastIndexOf('@')
  return from < 3 || to <= from ? word : `${word.slice(0, from)}…${word.slice(to)}`
}
