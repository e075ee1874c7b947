import { serveReplica } from 'anchorage/testing'
import { encode, Inventory } from './inventory-2.ts'

serveReplica({
  machine: () => new Inventory(),
  methods: {
    move: (replica, _inventory, article: string, count: number, orderBelow?: number) =>
      replica.submit(encode({ article, count, ...(orderBelow !== undefined && { orderBelow }) })),
    stock: (_replica, inventory, article: string) => inventory.stockOf(article),
    low: (_replica, inventory) => inventory.low,
  },
})
