import '../setup/package-by-name.ts'

const { encode, Inventory } = await import('../../docs/examples/inventory.ts')
const { serveReplica } = await import('../../src/testing/index.ts')

/** The first version of the inventory: see `inventory-2-process.ts` for the second. */
serveReplica({
  machine: () => new Inventory(),
  methods: {
    move: (replica, _inventory, article: string, count: number, key?: string) =>
      replica.submit(encode({ article, count }), key === undefined ? {} : { key }),
    stocks: (_replica, inventory, articles: string[]) =>
      articles.map((article) => inventory.stockOf(article)),
  },
})
