import '../setup/package-by-name.ts'

const { encode, Tally } = await import('../../docs/examples/tally.ts')
const { serveReplica } = await import('../../src/testing/index.ts')

/** Counts everything twice. */
class FaultyTally extends Tally {
  override apply(command: Uint8Array): number {
    super.apply(command)
    return super.apply(command)
  }
}

serveReplica({
  machine: ({ settings }) => (settings === 'faulty' ? new FaultyTally() : new Tally()),
  methods: {
    add: (replica, _tally, name: string, amount: number) => replica.submit(encode([name, amount])),
    total: (_replica, tally, name: string) => tally.total(name),
  },
})
