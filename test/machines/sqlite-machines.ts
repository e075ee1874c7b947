import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Items } from '../../src/machine/items.ts'
import type { Snapshot } from '../../src/machine/machine.ts'
import type { SqlParameter } from '../../src/machines/sqlite/command-db.ts'
import { SqliteMachine, type SqliteMachineInit } from '../../src/machines/sqlite/sqlite-machine.ts'
import type { FileCalls } from '../../src/machines/sqlite/state-files.ts'

/** A command as JSON: SQL, and its parameters. Bytes, and integers beyond a number, are told in words. */
export type SqlCommand = readonly [sql: string, ...parameters: readonly (SqlParameter | Uint8Array)[]]

/** Machines in folders of their own, which are closed and removed together. */
export class SqliteMachines implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'anchorage-sqlite-'))
  readonly #open: SqliteMachine<unknown>[] = []
  #count = 0

  path(name = `machine-${++this.#count}`): string {
    return join(this.#folder, name)
  }

  /** One that runs the SQL that it is given, and returns the rows of a SELECT, or how many were written. */
  make(
    schema: string,
    init: Partial<SqliteMachineInit<unknown>> = {},
    files?: FileCalls,
  ): SqliteMachine<unknown> {
    return this.open({ path: this.path(), schema, apply: runSql, ...init }, files)
  }

  open<Result>(init: SqliteMachineInit<Result>, files?: FileCalls): SqliteMachine<Result> {
    const machine = new SqliteMachine(init, files)
    this.#open.push(machine as SqliteMachine<unknown>)
    return machine
  }

  [Symbol.dispose](): void {
    for (const machine of this.#open) machine.close()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

export const runSql: SqliteMachineInit<unknown>['apply'] = (db, command) => {
  const [sql, ...parameters] = JSON.parse(Buffer.from(command).toString(), revived)
  return /^\s*(select|with)\b/i.test(sql) ? db.all(sql, ...parameters) : db.run(sql, ...parameters)
}

export function sqlCommand(...command: SqlCommand): Uint8Array {
  return Buffer.from(JSON.stringify(command, replaced))
}

/** Apply SQL as the next command. */
export function run(machine: SqliteMachine<unknown>, ...command: SqlCommand): unknown {
  return machine.apply(sqlCommand(...command), {
    position: { epoch: 'e', index: 1 },
    timeMs: 0,
    signature: machine.signature,
  })
}

/** A copy of each. */
export function copied(items: Iterable<Uint8Array>): Buffer[] {
  return Array.from(items, (item) => Buffer.from(item))
}

export function itemsIn(machine: SqliteMachine<never> | SqliteMachine<unknown>): Buffer[] {
  const snapshot: Snapshot = machine.capture()
  const items = copied(snapshot.items())
  snapshot.release()
  return items
}

/** Install items in runs of a few, and a note with them. */
export async function install(
  machine: SqliteMachine<unknown>,
  items: readonly Uint8Array[],
  note?: Uint8Array,
): Promise<void> {
  const installation = machine.install()
  for (let from = 0; from < items.length; from += 7) {
    const chunk = Items.of(...items.slice(from, from + 7))
    installation.add(chunk)
  }
  await installation.finish!()
  installation.commit(note)
}

function replaced(this: unknown, key: string, json: unknown): unknown {
  // A Buffer has turned itself into JSON by now.
  const value = (this as Record<string, unknown>)[key]
  if (value instanceof Uint8Array) return { blob: Buffer.from(value).toString('hex') }
  if (typeof value === 'bigint') return { integer: String(value) }
  return Object.is(value, -0) ? { real: '-0' } : json
}

function revived(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if ('blob' in value) return Buffer.from(String(value.blob), 'hex')
  if ('integer' in value) return BigInt(String(value.integer))
  return 'real' in value ? Number(value.real) : value
}
