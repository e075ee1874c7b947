import { type Context, EXIT } from '../context.ts'
import { KeyMissing } from '../errors.ts'
import { count } from '../output.ts'
import { Reader } from '../reader.ts'

/** Joins the group as a reader, reads what is committed by now, and leaves. */
export async function get(context: Context, key: string): Promise<number> {
  await using reader = await Reader.join(context)
  const { replica, map } = reader
  await reader.waiting(
    () => `for what was written before: at entry ${count(replica.position.index)}`,
    (signal) => replica.barrier({ signal }),
  )
  const value = map.get(key)
  if (value === undefined) throw new KeyMissing(key)
  context.output.result({ key, value, position: replica.position }, JSON.stringify(value))
  return EXIT.ok
}
