import { checkMachine, type MachineReport } from 'anchorage/testing'
import { Inventory as FirstInventory } from './inventory.ts'
import { encode, Inventory } from './inventory-2.ts'
import { movements } from './inventory-check.ts'

/** Version 2 by itself, version 2 where version 1 is spoken, beside version 1 itself, and the way to version 2. */
export async function checkUpgrade(): Promise<MachineReport> {
  const commands = Array.from({ length: 200 }, (_, n) =>
    encode({ article: `bolts M${n % 9}`, count: ((n * 7) % 11) - 4, orderBelow: n % 5 }),
  )
  return await checkMachine(() => new Inventory(), commands, {
    older: { 'inventory/1': { factory: () => new FirstInventory(), commands: movements(200) } },
  })
}
