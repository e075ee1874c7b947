/** What stands before an @ in a URL, and values of parameters with such names. */
const USER_INFO = /\b([a-z][a-z0-9+.-]*):\/\/[^\s@]+@(?:[^\s@]*@)*/gi
const PARAMETER = /([?&][a-z_-]*(?:password|passwd|secret|token)=)[^&\s"']+/gi

/** A text without the users and passwords of the URLs in it: an error may repeat an argument. */
export function withoutPasswords(text: string): string {
  return text.replaceAll(USER_INFO, '$1://…@').replaceAll(PARAMETER, '$1…')
}
