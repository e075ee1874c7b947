import { serveReplica } from 'anchorage/testing'
import { encode, Inventory } from './inventory.ts'

// What each process of the test runs, and what the test can call in it.
serveReplica({
  machine: () => new Inventory(),
  methods: {
    move: (replica, _inventory, article: string, count: number) => replica.submit(encode({ article, count })),
    stock: (_replica, inventory, article: string) => inventory.stockOf(article),
  },
})
