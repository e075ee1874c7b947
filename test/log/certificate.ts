import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** Files of a certificate and its key. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** A certificate that openssl makes in a folder: self-signed, or signed with another's key. */
export function certificate(dir: string, name: string, by?: Certificate): Certificate {
  const [cert, key] = [join(dir, `${name}.pem`), join(dir, `${name}.key`)]
  const make = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=${name}`
  const signed = by
    ? ['-CA', by.cert, '-CAkey', by.key, '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost']
    : []
  execFileSync('openssl', [...make.split(' '), '-keyout', key, '-out', cert, ...signed], { stdio: 'pipe' })
  return { cert, key }
}
