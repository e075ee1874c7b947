import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, type YAMLMap } from 'yaml'
import { asError } from '../../thrown.ts'
import { SettingInvalid } from '../errors.ts'
import { type Given, givenAt } from './given.ts'
import { nearest } from './nearest.ts'
import type { Setting } from './setting.ts'

type Entry = Pair<Node, Node | null>

/**
 * The settings in a file of YAML, which a file of JSON is too. Options of all commands stand at the top, those of a
 * command in a section of its name. Rejects with `SettingInvalid` if one thing in the file cannot be used.
 */
export async function readSettings(file: string, settings: readonly Setting[]): Promise<Given[]> {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file))
  } catch (cause) {
    throw new SettingInvalid({ file }, `it cannot be read: ${asError(cause).message}`, { cause })
  }
  return [...new SettingsFile(file, text, settings).given()]
}

class SettingsFile {
  readonly #file: string
  readonly #text: string
  readonly #settings: readonly Setting[]
  readonly #lines = new LineCounter()

  constructor(file: string, text: string, settings: readonly Setting[]) {
    this.#file = file
    this.#text = text
    this.#settings = settings
  }

  *given(): Iterable<Given> {
    const { contents, errors, warnings } = parseDocument<Node>(this.#text, {
      lineCounter: this.#lines,
      prettyErrors: false,
    })
    const [fault] = [...errors, ...warnings]
    if (fault !== undefined) throw this.#invalid(fault.pos[0], undefined, `it is no YAML: ${fault.message}`)
    if (contents === null) return
    if (!isMap(contents))
      throw this.#invalid(at(contents), undefined, 'Give a setting on each line, as group: app')
    yield* this.#section(contents as YAMLMap<Node, Node | null>, undefined)
  }

  *#section(map: YAMLMap<Node, Node | null>, section: string | undefined): Iterable<Given> {
    for (const entry of map.items) {
      const key = keyOf(entry)
      const setting = this.#settings.find((each) => each.section === section && each.key === key)
      if (setting !== undefined) yield this.#setting(setting, entry)
      else if (section === undefined && this.#sections.includes(key)) yield* this.#command(key, entry)
      else throw this.#unknown(entry, section)
    }
  }

  get #sections(): string[] {
    const sections = this.#settings.map((setting) => setting.section).filter((name) => name !== undefined)
    return [...new Set(sections)]
  }

  *#command(section: string, { key, value }: Entry): Iterable<Given> {
    if (value === null || (isScalar(value) && value.value === null)) return
    if (!isMap(value))
      throw this.#invalid(at(key), section, `Give options of "anchorage ${section}" below it, indented`)
    yield* this.#section(value as YAMLMap<Node, Node | null>, section)
  }

  #setting(setting: Setting, { key, value }: Entry): Given {
    const texts = isSeq<Node>(value) ? value.items : [value]
    const given = texts.map((node) => {
      const text = textOf(node)
      if (text === undefined) throw this.#invalid(at(node ?? key), setting.name, expected(setting))
      return setting.from(dirname(this.#file), text)
    })
    if (isSeq(value) && !setting.isList) throw this.#invalid(at(value), setting.name, expected(setting))
    return givenAt({ file: this.#file, line: this.#line(at(key)) }, setting, given)
  }

  #unknown(entry: Entry, section: string | undefined): SettingInvalid {
    const key = keyOf(entry)
    const name = section === undefined ? key : `${section}.${key}`
    const all = [
      ...this.#settings.map((setting) => ({ candidate: where(setting), names: [setting.name, setting.key] })),
      ...this.#sections.map((each) => ({ candidate: `the section ${each}`, names: [each] })),
    ]
    const near = nearest(name, all) ?? nearest(key, all)
    const hint = near === undefined ? 'docs/configuration.md lists what there is' : `did you mean ${near}?`
    return this.#invalid(at(entry.key), name, `it is no setting of a file: ${hint}`)
  }

  #invalid(offset: number, key: string | undefined, reason: string): SettingInvalid {
    const place = { file: this.#file, line: this.#line(offset), ...(key !== undefined && { key }) }
    return new SettingInvalid(place, reason)
  }

  #line(offset: number): number {
    return this.#lines.linePos(offset).line
  }
}

function keyOf({ key }: Entry): string {
  return textOf(key) ?? String(key)
}

/** As it stands in the file: 007 is text, and no 7. Undefined for what is neither text, number nor switch. */
function textOf(node: Node | null): string | undefined {
  if (!isScalar(node) || node.value === null) return undefined
  return typeof node.value === 'string' ? node.value : (node.source ?? String(node.value))
}

function at(node: Node): number {
  return node.range?.[0] ?? 0
}

function where({ key, section }: Setting): string {
  return section === undefined ? `${key}, at the top` : `${key}, in the section ${section}`
}

function expected(setting: Setting): string {
  if (setting.isSwitch) return 'Give true or false'
  return setting.isList ? 'Give a value, or a list of them' : 'Give one value'
}
