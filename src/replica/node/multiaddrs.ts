import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { isDialable } from '../../sync/dialer.ts'

/** Throws `RangeError` for an address that no replica can listen on, or announce. */
export function checkAddresses({
  listen = [],
  announce = [],
}: {
  readonly listen?: readonly string[] | undefined
  readonly announce?: readonly string[] | undefined
}): void {
  for (const text of listen) parseAddress('listen', text)
  for (const text of announce) {
    if (isDialable(parseAddress('announce', text).toString())) continue
    throw new RangeError(`announce has ${text}, which nobody can dial; name one host and its port`)
  }
}

/** Throws `RangeError` for a text that is no multiaddr. */
export function parseAddress(option: 'listen' | 'announce', text: string): Multiaddr {
  try {
    return multiaddr(text)
  } catch {
    throw new RangeError(
      `${option} has ${JSON.stringify(text)}; give a multiaddr such as /ip4/127.0.0.1/tcp/4001`,
    )
  }
}
