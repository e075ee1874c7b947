import { checkMachine, type MachineReport } from 'anchorage/testing'
import { encode, Inventory } from './inventory.ts'

/** Goods come and go, and now and then more of them are asked for than there are. */
export function movements(count: number): Uint8Array[] {
  const articles = ['bolts', 'nuts', 'screws', 'washers']
  return Array.from({ length: count }, (_, n) =>
    encode({ article: `${articles[n % 4]} M${n % 7}`, count: ((n * 7) % 11) - 4 }),
  )
}

/** Rejects with the first fault, and what to do about it. */
export async function checkInventory(): Promise<MachineReport> {
  const questions = ['bolts M0', 'gold', ''].map((text) => Buffer.from(text))
  return await checkMachine(() => new Inventory(), movements(200), { questions })
}
