/** A shop that several replicas sell from: `node shop.ts`. An order takes all that it needs, or nothing. */
import { createReplica, memoryLog } from 'anchorage'
import { BatchRefused, compose, ReplicatedList, ReplicatedMap } from 'anchorage/machines'

interface Order {
  readonly buyer: string
  readonly lamp: string
}

const newShop = () =>
  compose({
    credit: new ReplicatedMap<string, number>(),
    stock: new ReplicatedList<string>(),
    orders: new ReplicatedList<Order>(),
  })

export async function main(say: (line: string) => void = console.log): Promise<void> {
  const log = memoryLog()
  const [ada, bob] = [newShop(), newShop()]
  await using first = await createReplica({ group: 'shop', machine: ada, log, volatile: true })
  await using second = await createReplica({ group: 'shop', machine: bob, log, volatile: true, lead: false })
  await Promise.all([first.inSync(), second.inSync()])

  // Parts are written one by one as ever, or several at once: one entry of the log, with the result of each.
  await ada.stock.push('the last lamp')
  const { credit } = ada.commands
  await ada.submitAll([credit.set('ada', 100), credit.set('bob', 100)])
  await second.barrier()

  const buy = async (shop: typeof ada, buyer: string) => {
    const { credit, stock, orders } = shop.commands
    const lamp = shop.stock.at(0) ?? 'a lamp'
    const left = (shop.credit.get(buyer) ?? 0) - 40
    const { result } = await shop.submitAll([
      credit.set(buyer, left),
      stock.delete(0),
      orders.push({ buyer, lamp }),
    ])
    const [, taken, number] = result!
    say(`${buyer} has bought ${taken.value}, order ${number}`)
  }
  await buy(ada, 'ada')
  const refusal = await buy(bob, 'bob').catch((error: Error) => error)
  if (refusal instanceof BatchRefused) say(`bob has not: ${refusal.message}`)
  say(`ada has ${bob.credit.get('ada')} left, bob has ${bob.credit.get('bob')}`)
}

if (import.meta.main) await main()
