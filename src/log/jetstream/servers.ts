import type { NodeConnectionOptions } from '@nats-io/transport-node'

const SCHEMES = new Set(['nats:', 'tls:'])

/** Whether a text is a list of NATS servers, as `jetstreamLog` and the command line take it. */
export function namesServers(text: string): boolean {
  return /^(nats|tls):\/\//.test(text)
}

/**
 * Turns URLs into the client's options. A text has one or more URLs with commas between: `nats://host:4222`,
 * with `user:password@` or `token@` before the host; `tls://` demands TLS. The client takes names and
 * passwords only as options of their own. Throws `RangeError` for anything else.
 */
export function parseServers(servers: string | readonly string[]): NodeConnectionOptions {
  const given = typeof servers === 'string' ? [servers] : servers
  const options: NodeConnectionOptions = {}
  const hosts = given.flatMap((list) => list.split(',').map((text) => [text.trim(), list] as const))
  const addresses = hosts.map(([text, list]) => {
    const { protocol, host, username, password, pathname, search, hash } = parse(text) ?? NOTHING
    if (!SCHEMES.has(protocol) || host === '' || !['', '/'].includes(pathname) || search + hash !== '') {
      throw unusable(text, list)
    }
    const decode = (part: string) => decoded(part) ?? fail(unusable(text, list))
    if (password !== '') {
      options.user = decode(username)
      options.pass = decode(password)
    } else if (username !== '') options.token = decode(username)
    if (protocol === 'tls:') options.tls = {}
    return host
  })
  return { ...options, servers: addresses }
}

const NOTHING = new URL('nothing:')

/** `URL` leaves the parts of these schemes unchanged, and knows no default port for them. */
function parse(text: string): URL | undefined {
  const withScheme = text.includes('://') ? text : `nats://${text}`
  return URL.canParse(withScheme) ? new URL(withScheme) : undefined
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}

function fail(error: Error): never {
  throw error
}

/**
 * The error for a list that cannot be used. A password may contain commas and so be split. If the list may
 * hold one, the error shows no part of it.
 */
function unusable(text: string, list: string): RangeError {
  const shown = list.includes('@') ? list.replace(/^(\w+:\/\/)?.*@/, '$1…@') : text
  return new RangeError(
    `${JSON.stringify(shown)} is no NATS server; give nats://host:4222, or tls://host:4222 (%2C for a comma in a password)`,
  )
}
