import { Binding, keptSignature, type Upgrade } from '../binding.ts'
import type { LogInit } from '../log.ts'
import type { LogRecord, LogStore } from './storage.ts'

const NOTE = /^note-(\d+)$/
const AT_DIGITS = 16

/** What a log for this group and machine is made with. */
export function headFor({ group, snapshot }: LogInit, signature: string): string {
  return JSON.stringify({ group, kept: keptSignature(signature, { ...(snapshot && { snapshot }) }) })
}

/** Whose log it is. Each note of an upgrade is a record. */
export async function bindingOf(store: LogStore): Promise<Binding> {
  const { group, kept } = JSON.parse(store.head)
  const upgrades = (await store.records()).flatMap(upgradeIn)
  return new Binding(
    group,
    kept,
    upgrades.sort((a, b) => a.at - b.at),
  )
}

function upgradeIn({ name, text }: LogRecord): Upgrade[] {
  const at = NOTE.exec(name)?.[1]
  return at === undefined ? [] : [{ signature: text, at: Number(at) }]
}

/** The binding with an upgrade, which is kept if it is news. */
export async function noted(store: LogStore, upgrade: Upgrade): Promise<Binding> {
  const binding = await bindingOf(store)
  if (!binding.isNews(upgrade)) return binding
  await store.put(`note-${String(upgrade.at).padStart(AT_DIGITS, '0')}`, upgrade.signature)
  return await bindingOf(store)
}
