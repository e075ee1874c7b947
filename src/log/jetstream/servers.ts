import type { NodeConnectionOptions } from '@nats-io/transport-node'

const SCHEMES = new Set(['nats:', 'tls:'])

/** Whether a text names NATS servers, as `jetstreamLog` and the command line take them. */
export function namesServers(text: string): boolean {
  return /^(nats|tls):\/\//.test(text)
}

/**
 * What URLs say, in the client's terms: `nats://host:4222`, a list of them with commas between, with `user:password@` or `token@`
 * before the host; `tls://` demands TLS. The client takes names and passwords only beside its servers. Throws `RangeError` for
 * anything else.
 */
export function parseServers(servers: string | readonly string[]): NodeConnectionOptions {
  const texts = (typeof servers === 'string' ? [servers] : servers).flatMap((text) => text.split(','))
  const options: NodeConnectionOptions = {}
  const hosts = texts.map((text) => {
    const { protocol, host, username, password, pathname, search, hash } = parse(text.trim())
    if (!SCHEMES.has(protocol) || host === '' || !['', '/'].includes(pathname) || search + hash !== '') {
      throw unusable(text)
    }
    if (password !== '') {
      options.user = decode(username, text)
      options.pass = decode(password, text)
    } else if (username !== '') options.token = decode(username, text)
    if (protocol === 'tls:') options.tls = {}
    return host
  })
  return { ...options, servers: hosts }
}

/** `URL` keeps the parts of these schemes as they stand, and knows no default port. */
function parse(text: string): URL {
  const withScheme = text.includes('://') ? text : `nats://${text}`
  if (!URL.canParse(withScheme)) throw unusable(text)
  return new URL(withScheme)
}

function decode(part: string, text: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw unusable(text)
  }
}

function unusable(text: string): RangeError {
  // Without what may be a password.
  const shown = text.replace(/^(\w+:\/\/)?.*@/, '$1…@')
  return new RangeError(
    `${JSON.stringify(shown)} is no NATS server; give nats://host:4222, or tls://host:4222`,
  )
}
