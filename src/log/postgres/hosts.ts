/** One server of a connection string. */
export interface Host {
  /** The connection string for this server alone. */
  readonly connectionString: string
  /** The server and the database, without user and password. */
  readonly place: string
}

/** `postgres://`, then user and password, then the hosts, then the rest. */
const CONNECTION_STRING = /^(postgres(?:ql)?:\/\/)(?:([^@/?#]*)@)?([^@/?#]*)(.*)$/s

/** Whether a place's name leads to PostgreSQL. */
export function namesPostgres(place: string): boolean {
  return /^postgres(ql)?:\/\//.test(place)
}

/**
 * The servers of a connection string, one at least. Throws `RangeError` for what is none, without repeating it:
 * it may hold a password.
 */
export function parseHosts(connectionString: string): readonly Host[] {
  const parts = typeof connectionString === 'string' ? CONNECTION_STRING.exec(connectionString) : null
  if (parts === null) throw malformed('it is no URL that begins with postgres://')
  const [, scheme, user, hosts, rest] = parts
  // What is before it may be a part of the password, and a place is for everybody's eyes.
  if (rest!.includes('@')) throw malformed('there is an @, /, ? or # in the user or the password')
  if (!/^([/?]|$)/.test(rest!)) throw malformed('there is a # before the database')
  if (!isEncoded(`${user}${rest}`)) throw malformed('there is a % that encodes nothing')
  return hosts!.split(',').map((host) => {
    const one = `${scheme}${user === undefined ? '' : `${user}@`}${host}${rest}`
    if (host !== '' && !URL.canParse(`http://${host}`)) throw malformed('a host or a port is none')
    if (host === '' && hosts !== '') throw malformed('a host is missing between two commas')
    return { connectionString: one, place: placeOf(host, rest!) }
  })
}

/** The names of several servers as one place. */
export function placeOfAll(hosts: readonly Host[]): string {
  return hosts.map(({ place }) => place).join(',')
}

function placeOf(host: string, rest: string): string {
  const [path] = rest.split('?')
  const socket = /[?&]host=([^&]*)/.exec(rest)?.[1]
  return `postgres://${host || (socket === undefined ? '' : decodeURIComponent(socket))}${path}`
}

function isEncoded(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

function malformed(why: string): RangeError {
  return new RangeError(
    `connectionString cannot be used: ${why}; give postgres://user:password@host:5432/database, with commas between several hosts, and percent-encode what is special in the user and the password`,
  )
}
