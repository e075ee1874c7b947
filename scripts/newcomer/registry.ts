import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename } from 'node:path'
import { run } from '../package/archive.ts'

export interface Registry extends AsyncDisposable {
  readonly url: string
}

interface Served {
  readonly path: string
  readonly content: Buffer
  readonly manifest: { readonly name: string; readonly version: string }
}

/** A registry on loopback that has these archives, as if they were published. For all else it sends npm to another one. */
export async function startRegistry(archives: readonly string[], upstream: string): Promise<Registry> {
  const others = upstream.endsWith('/') ? upstream : `${upstream}/`
  const served = archives.map((archive): Served => {
    const manifest = JSON.parse(run('tar', ['-xzOf', archive, 'package/package.json'], process.cwd()))
    return { manifest, content: readFileSync(archive), path: `/${manifest.name}/-/${basename(archive)}` }
  })
  const server = createServer(({ url: path = '/' }, response) => {
    const archive = served.find((one) => one.path === path)
    const named = served.find(({ manifest }) => `/${manifest.name}` === path)
    if (archive !== undefined) response.end(archive.content)
    else if (named !== undefined)
      response.setHeader('content-type', 'application/json').end(JSON.stringify(documentOf(named, url)))
    else response.writeHead(307, { location: new URL(path.slice(1), others).href }).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url: `${url}/`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** What a registry says of a package: its versions, and where their archives are. */
function documentOf({ manifest, content, path }: Served, url: string) {
  const { name, version } = manifest
  const integrity = `sha512-${createHash('sha512').update(content).digest('base64')}`
  const dist = { tarball: `${url}${path}`, integrity }
  const versions = { [version]: { ...manifest, _id: `${name}@${version}`, dist } }
  return { _id: name, name, 'dist-tags': { latest: version }, versions }
}
