/** Codes of errors, such as `NO_PROVIDER` and `ENOSPC`. */
const CODE = /^[A-Z][A-Z0-9_]{0,63}$/

/** An error without a code, or with one that is none of ours or of the system's looks. */
export const OTHER_CODE = 'OTHER'

/** What tells errors of one kind from others. It is short, and has no word of a message. */
export function errorCode(error: Error): string {
  const { code } = error as { readonly code?: unknown }
  return typeof code === 'string' && CODE.test(code) ? code : OTHER_CODE
}
