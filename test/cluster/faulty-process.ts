import { registerHooks } from 'node:module'
import { serveReplica } from '../../src/testing/index.ts'

// The example imports the package by its name, as users do; here it is the source.
registerHooks({
  resolve: (specifier, context, next) =>
    next(specifier === 'anchorage' ? import.meta.resolve('../../src/index.ts') : specifier, context),
})
const { encode, Tally } = await import('../../docs/examples/tally.ts')

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
