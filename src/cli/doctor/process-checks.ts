import { readFile, stat } from 'node:fs/promises'
import { packageVersion } from '../../package-version.ts'
import { networkKeysIn } from '../../replica/node/network-key.ts'
import { asError } from '../../thrown.ts'
import { count } from '../output.ts'
import { type Check, type Finding, fail, ok, warn } from './finding.ts'

/** The oldest Node.js that runs this package. */
const NODE_MAJOR_MIN = 24
/** Fewer open files than this are soon used up by connections, chunks and the log. */
const OPEN_FILES_MIN = 1_024

export const nodeVersion: Check = {
  name: 'node',
  async run() {
    const { node } = process.versions
    if (Number.parseInt(node, 10) < NODE_MAJOR_MIN)
      return [
        fail(
          'node-version',
          `this is Node.js ${node}, and ${NODE_MAJOR_MIN} is the oldest that works`,
          'install a newer Node.js',
        ),
      ]
    return [ok('node-version', `Node.js ${node}, anchorage ${packageVersion()}`)]
  },
}

/** Linux tells them in a file. */
export const openFiles: Check = {
  name: 'open files',
  async run() {
    const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '')
    const [, soft] = /^Max open files\s+(\d+)/m.exec(limits) ?? []
    if (soft === undefined) return []
    if (Number(soft) >= OPEN_FILES_MIN)
      return [ok('open-files', `${count(Number(soft))} may be open at once`)]
    return [
      warn(
        'open-files',
        `only ${soft} files may be open at once`,
        `raise it to ${OPEN_FILES_MIN} at least: LimitNOFILE= for systemd, or "ulimit -n"`,
      ),
    ]
  },
}

/** Others than the owner may read what should be secret. */
export function isOpenToOthers({ mode }: { readonly mode: number }): boolean {
  return (mode & 0o077) !== 0
}

export function octal({ mode }: { readonly mode: number }): string {
  return `0${(mode & 0o777).toString(8)}`
}

export const networkKeyFile: Check = {
  name: 'network key',
  async run({ context: { networkKey: path } }): Promise<Finding[]> {
    if (path === undefined) return []
    try {
      const [content, stats] = [await readFile(path), await stat(path)]
      const keys = namesIn(content)
      if (keys === undefined)
        return [
          fail(
            'key-malformed',
            `${path} holds no key as "anchorage network-key" makes one`,
            'copy the file of another replica, byte by byte',
          ),
        ]
      if (isOpenToOthers(stats))
        return [
          warn(
            'key-open',
            `${path} has mode ${octal(stats)}: other users of this machine can read it`,
            `chmod 600 ${path}`,
          ),
        ]
      return [ok('key-file', `${path} holds ${keys}, and only its owner can read it`)]
    } catch (error) {
      return [
        fail(
          'key-unreadable',
          `${path} cannot be read: ${asError(error).message}`,
          'look at --network-key, and at who may read the file',
        ),
      ]
    }
  },
}

/** The names of the keys, which replicas may compare; undefined for what is no file of keys. */
function namesIn(content: Uint8Array): string | undefined {
  try {
    return networkKeysIn(content)
      .map(({ fingerprint }) => fingerprint)
      .join(' and ')
  } catch {
    return undefined
  }
}
