import { ReplicatedMap } from '../../machine/replicated-map.ts'
import { createReplica } from '../../replica/replica.ts'
import { type Context, EXIT } from '../context.ts'
import { KeyMissing } from '../errors.ts'
import { existingLog } from '../open-log.ts'
import { networkOf } from './network-key.ts'

/** Joins the group as a reader, reads what is committed by now, and leaves. */
export async function get(context: Context, key: string): Promise<number> {
  const { group, output, signal } = context
  const machine = new ReplicatedMap()
  await using replica = await createReplica({
    group,
    machine,
    log: existingLog(context),
    lead: false,
    ...(await networkOf(context)),
  })
  await replica.inSync({ signal })
  await replica.barrier({ signal })
  const value = machine.get(key)
  if (value === undefined) throw new KeyMissing(key)
  output.result({ key, value, position: replica.position }, JSON.stringify(value))
  return EXIT.ok
}
