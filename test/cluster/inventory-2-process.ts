import '../setup/package-by-name.ts'

const { encode, Inventory } = await import('../../docs/examples/inventory-2.ts')
const { serveReplica } = await import('../../src/testing/index.ts')

/** In milliseconds: longer than the test, and still bounded, should nobody be left to kill the process. */
const HANG_MS = 60_000

/** The second version, which can be told to hang where it applies the upgrade: that process does nothing after it. */
class HangingInventory extends Inventory {
  hangsAtUpgrade = false

  override upgrade(): void {
    if (this.hangsAtUpgrade) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, HANG_MS)
    super.upgrade()
  }
}

serveReplica({
  machine: () => new HangingInventory(),
  methods: {
    move: (replica, _inventory, article: string, count: number, key?: string) =>
      replica.submit(encode({ article, count }), key === undefined ? {} : { key }),
    fill: (replica, _inventory, count: number, nameLength: number) =>
      Promise.all(
        Array.from({ length: count }, (_, n) =>
          replica.submit(encode({ article: String(n).padEnd(nameLength, '.'), count: 1 })),
        ),
      ).then(() => undefined),
    stocks: (_replica, inventory, articles: string[]) =>
      articles.map((article) => inventory.stockOf(article)),
    hangAtUpgrade: (_replica, inventory) => {
      inventory.hangsAtUpgrade = true
    },
  },
})
