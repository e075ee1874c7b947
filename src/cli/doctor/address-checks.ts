import { createServer } from 'node:net'
import { type Endpoint, endpointOf, isAnyHost, isLoopback, tryAddresses } from '../facts/reach.ts'
import { remedyFor } from '../facts/remedies.ts'
import { type Check, type Finding, fail, ok, warn } from './finding.ts'
import type { Patient } from './patient.ts'

const DIAL_MS = 2_000

/** The addresses of `--listen` and `--http` can be had, unless the replica itself has them. */
export const listens: Check = {
  name: 'listen',
  async run(patient) {
    const { listen = [], http } = patient.options
    const own = await ownAnnouncement(patient)
    const endpoints = listen.flatMap((address) => {
      const endpoint = endpointOf(address)
      return endpoint === undefined ? [] : [{ what: address, endpoint }]
    })
    if (http !== undefined) endpoints.push({ what: `--http ${http.host}:${http.port}`, endpoint: http })
    const findings = endpoints.map(async ({ what, endpoint }): Promise<Finding> => {
      const why = endpoint.port === 0 ? undefined : await listenFailure(endpoint)
      if (why === undefined) return ok('listen', `${what} is free`)
      if (why === 'EADDRINUSE' && own !== undefined)
        return ok('listen', `${what} is in use, most likely by the replica, which runs`)
      return fail('listen', `${what} cannot be listened on: ${WHY[why] ?? why}`, remedyFor('LISTEN_FAILED')!)
    })
    return await Promise.all(findings)
  },
}

/** Others reach this replica where it announces that it listens. */
export const announces: Check = {
  name: 'announce',
  needs: 'log',
  async run(patient) {
    const { listen = [], announce = [] } = patient.options
    const own = await ownAnnouncement(patient)
    const facts = await patient.facts()
    const announced = own?.addresses ?? (announce.length > 0 ? announce : listen)
    const others = (facts?.running ?? []).filter(({ id }) => id !== own?.id)
    const findings: Finding[] = []
    const isLocal = announced.every(isLoopback) && !announced.some(isAnyHost)
    if (isLocal && others.some(({ addresses }) => addresses.some((one) => !isLoopback(one))))
      findings.push(
        fail(
          'announces-loopback',
          `this replica announces ${announced.length === 0 ? '127.0.0.1, the default' : announced.join(' and ')}, and others are on other machines: they cannot reach it`,
          'give it --listen with an address of this machine, such as /ip4/10.0.0.7/tcp/4001, or --announce with one that leads here',
        ),
      )
    if (own === undefined) return findings
    const tries = await tryAddresses(own.addresses, DIAL_MS)
    if (tries.some(({ connects }) => connects))
      return [...findings, ok('announces', `it is reached from here at ${own.addresses.join(' and ')}`)]
    const tried = tries.map(({ address, why }) => `${address} ${why}`).join('; ')
    return [
      ...findings,
      warn(
        'announces',
        `what it announces does not lead to it from here: ${tried}`,
        'look at --announce, and at the forwarding of that port; others reach it only if that address leads here from where they are',
      ),
    ]
  },
}

async function ownAnnouncement(patient: Patient) {
  const [id, facts] = [await patient.id(), await patient.facts()]
  return id === undefined ? undefined : facts?.running.find((one) => one.id === id)
}

/** The code of what keeps an address from being listened on. */
function listenFailure({ host, port }: Endpoint): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)))
  })
}

const WHY: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there (EADDRINUSE)',
  EADDRNOTAVAIL: "it is not this machine's (EADDRNOTAVAIL)",
  EACCES: 'this user may not listen there (EACCES)',
}
