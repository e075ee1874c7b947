import { createHash } from 'node:crypto'
import { checkText, OLDER_MAX, SIGNATURE_BYTES_MAX } from '../bounds.ts'
import { sameBytes } from '../bytes.ts'
import { UpgradeRequired } from './errors.ts'
import { FIRST_FORMAT, GROUP_FORMAT } from './formats.ts'

/** A signature is announced as a hash: 17 whole ones would not fit into the smallest presence. */
const NAME_BYTES = 8

/** What of a machine tells its versions. */
interface Versioned {
  readonly signature: string
  readonly older?: readonly string[]
}

/** The versions that this process speaks: of the machine, and of the group's own format. */
export class Versions {
  /** The newest format of the group's state. */
  readonly format: number
  /** The machine's signatures, the newest first. */
  readonly signatures: readonly string[]
  readonly #names: readonly Uint8Array[]

  /** Throws `RangeError` for signatures that are none, more than 16 older ones, and one that comes twice. */
  constructor({ signature, older = [] }: Versioned, format = GROUP_FORMAT) {
    this.format = format
    if (older.length > OLDER_MAX) {
      throw new RangeError(`a machine speaks at most ${OLDER_MAX} older versions, not ${older.length}`)
    }
    for (const text of older) checkText('an older signature of the machine', text, SIGNATURE_BYTES_MAX)
    this.signatures = [signature, ...older]
    const twice = this.signatures.find((text, at) => this.signatures.indexOf(text) !== at)
    if (twice !== undefined) throw new RangeError(`the machine lists its signature ${twice} twice`)
    this.#names = this.signatures.map(signatureName)
  }

  /** The machine's newest signature. */
  get newest(): string {
    return this.signatures[0]!
  }

  speaks(signature: string): boolean {
    return this.signatures.includes(signature)
  }

  /** Throws `UpgradeRequired` for what this process does not speak. */
  assertSpeak({ format, signature }: Spoken): void {
    if (format > this.format) {
      const what = `the group's state is of format ${format}, which is newer than ${this.format}; the group speaks ${JSON.stringify(signature)}`
      throw new UpgradeRequired(signature, this.signatures, what)
    }
    if (!this.speaks(signature)) throw new UpgradeRequired(signature, this.signatures)
  }

  /** The names of the signatures, as members announce them. */
  get names(): readonly Uint8Array[] {
    return this.#names
  }
}

/** The first 8 bytes of a signature's SHA-256. */
export function signatureName(signature: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(signature).digest().subarray(0, NAME_BYTES))
}

/** What a member announces of its versions: see `Announcement`. */
interface AnnouncedVersions {
  readonly format?: number
  readonly speaks?: readonly Uint8Array[]
}

/** What a group speaks: the format of its own state, and the version of the machine. */
export interface Spoken {
  readonly format: number
  readonly signature: string
}

/**
 * Whether a member speaks that. One that announces no format is of a release that knew only the first, and
 * only the version that the log is `bound` to. One that announces a format and no versions has no machine: it
 * reads whatever there is.
 */
export function speaks({ format, speaks: names }: AnnouncedVersions, wanted: Spoken, bound: string): boolean {
  if (wanted.format > (format ?? FIRST_FORMAT)) return false
  if (names === undefined) return format !== undefined || wanted.signature === bound
  const wantedName = signatureName(wanted.signature)
  return names.some((name) => sameBytes(name, wantedName))
}

/** The newest format that this process and all of these members speak. */
export function commonFormat(own: Versions, members: readonly AnnouncedVersions[]): number {
  return Math.min(own.format, ...members.map(({ format }) => format ?? FIRST_FORMAT))
}
