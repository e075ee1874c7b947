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

/** `URL` keeps the parts of these schemes as they stand, and knows no default port. */
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

/** A password may have commas in it, which part it: where one may stand in the list, none of its parts are shown. */
function unusable(text: string, list: string): RangeError {
  const shown = list.includes('@') ? list.replace(/^(\w+:\/\/)?.*@/, '$1…@') : text
  return new RangeError(
    `${JSON.stringify(shown)} is no NATS server; give nats://host:4222, or tls://host:4222 (%2C for a comma in a password)`,
  )
}
