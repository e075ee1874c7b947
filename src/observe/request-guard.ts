import type { IncomingMessage } from 'node:http'
import { type Answer, text } from './answer.ts'

const LOOPBACK_NAMES: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])
const LOOPBACK = /^(127\.|::1$|::ffff:127\.)/
const OWN_SITE: ReadonlySet<string> = new Set(['same-origin', 'none'])

/**
 * Tells requests that another web site has a browser send. A browser lets no site read what another one answers, unless
 * that has the site's own name. So a site may give its name the address 127.0.0.1 (DNS rebinding): on loopback only the
 * names of loopback are answered. What is no browser may leave the name out, as health checks of HTTP/1.0 do.
 */
export class RequestGuard {
  readonly #names: ReadonlySet<string> | undefined

  /** @param address on which the server listens */
  constructor(address: string) {
    if (LOOPBACK.test(address)) this.#names = new Set([...LOOPBACK_NAMES, address])
  }

  /** Why a request is refused; undefined for one that is answered. */
  refusal({ headers }: Pick<IncomingMessage, 'headers'>): Answer | undefined {
    const { host } = headers
    if (host !== undefined && this.#names?.has(nameIn(host)) === false)
      return text(421, 'this address is asked as localhost, 127.0.0.1 or [::1]; Host is another name')
    if (isOfAnotherOrigin(headers)) return refusedSite()
    const site = headers['sec-fetch-site']
    if (site === undefined || OWN_SITE.has(String(site)) || isLinkFollowed(headers)) return undefined
    return refusedSite()
  }
}

function refusedSite(): Answer {
  return text(403, 'another web site may link to this one, and not fetch from it')
}

/**
 * A browser says nothing of the site where it asks for a WebSocket, nor to an address that is no loopback and has no
 * TLS. It tells the origin then, unless another site embeds an image, a script or the like.
 */
function isOfAnotherOrigin({ origin, host }: IncomingMessage['headers']): boolean {
  return origin !== undefined && URL.parse(origin)?.host !== host?.toLowerCase()
}

/** Somebody follows a link to here, in a window of its own. */
function isLinkFollowed(headers: IncomingMessage['headers']): boolean {
  return headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document'
}

/** Without the port. */
function nameIn(host: string): string {
  return host.replace(/:\d*$/, '').toLowerCase()
}
