import { SettingInvalid } from '../errors.ts'
import { type Given, givenAt } from './given.ts'
import { nearest } from './nearest.ts'
import type { Setting } from './setting.ts'

/** Names the file of settings. */
export const CONFIG_VARIABLE = 'ANCHORAGE_CONFIG'
/** Variables of ours that set no flag. */
const OTHERS = /^ANCHORAGE_(CONFIG|DEBUG|TEST_.*)$/
/** Kubernetes gives each container such variables of each Service, so also of one that is named anchorage. */
const OF_KUBERNETES =
  /^ANCHORAGE_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/

const EMPTY = 'it is empty: give a value, or unset it'

/** What the environment sets. */
export class Environment {
  readonly #env: NodeJS.ProcessEnv

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env
  }

  /** The path of the file of settings. Throws `SettingInvalid` for an empty one. */
  get config(): string | undefined {
    const path = this.#env[CONFIG_VARIABLE]
    if (path === '') throw new SettingInvalid({ variable: CONFIG_VARIABLE }, EMPTY)
    return path
  }

  /** What it sets this one to; undefined if it does not. Throws `SettingInvalid`. */
  given(setting: Setting): Given | undefined {
    const { variable } = setting
    const text = this.#env[variable]
    if (text === undefined) return undefined
    if (text.trim() === '') throw new SettingInvalid({ variable }, EMPTY)
    const texts = setting.isList ? text.split(',').map((each) => each.trim()) : [text]
    return givenAt({ variable }, setting, texts)
  }

  /** Variables that look as if they set something, and do not, each with the nearest that does. */
  unknown(
    settings: readonly Setting[],
  ): { readonly variable: string; readonly nearest: string | undefined }[] {
    const known = new Set(settings.map(({ variable }) => variable))
    const named = settings.map(({ variable, key, option }) => ({
      candidate: variable,
      names: [variable.replace(/^ANCHORAGE_/, ''), key, option.name()],
    }))
    named.push({ candidate: CONFIG_VARIABLE, names: ['config', 'config file'] })
    return Object.keys(this.#env)
      .filter((name) => /^ANCHORAGE_/.test(name) && !known.has(name))
      .filter((name) => !OTHERS.test(name) && !OF_KUBERNETES.test(name))
      .sort()
      .map((variable) => ({ variable, nearest: nearest(variable.replace(/^ANCHORAGE_/, ''), named) }))
  }
}
