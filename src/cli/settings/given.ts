import { asError } from '../../thrown.ts'
import { SettingInvalid, type SettingPlace } from '../errors.ts'
import type { Setting } from './setting.ts'

/** Where a value comes from. */
export type Origin =
  | { readonly flag: string }
  | { readonly variable: string }
  | { readonly file: string; readonly line: number }

/** A value that somebody gave a setting. */
export interface Given {
  readonly setting: Setting
  /** As it was written; one for each value of a list. */
  readonly texts: readonly string[]
  /** As the flag's parser makes it of the texts. */
  readonly value: unknown
  readonly origin: Origin
}

/** Throws `SettingInvalid` for texts that the flag does not take. */
export function givenAt(origin: Origin, setting: Setting, texts: readonly string[]): Given {
  try {
    return { setting, texts, value: setting.parse(texts), origin }
  } catch (error) {
    throw new SettingInvalid(placeIn(origin, setting), asError(error).message)
  }
}

/** Where to look for what is wrong with a setting. */
export function placeIn(origin: Origin, { name }: Setting): SettingPlace {
  if ('variable' in origin) return origin
  return { ...('file' in origin && origin), key: name }
}

/** A flag goes before the environment, and that before a file. */
export function strength(origin: Origin): number {
  if ('flag' in origin) return 3
  return 'variable' in origin ? 2 : 1
}

/** For people: `--keep`, `ANCHORAGE_NODE_KEEP` or `anchorage.yaml:3`. */
export function originName(origin: Origin): string {
  if ('flag' in origin) return origin.flag
  return 'variable' in origin ? origin.variable : `${origin.file}:${origin.line}`
}
