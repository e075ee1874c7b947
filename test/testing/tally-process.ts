import { registerHooks } from 'node:module'
import { serveReplica } from '../../src/testing/index.ts'

// The example imports the package by its name, as users do; here it is the source.
registerHooks({
  resolve: (specifier, context, next) =>
    next(specifier === 'anchorage' ? import.meta.resolve('../../src/index.ts') : specifier, context),
})
const { encode, Tally } = await import('../../docs/examples/tally.ts')

serveReplica({
  machine: () => new Tally(),
  methods: {
    add: (replica, _tally, name: string, amount: number) => replica.submit(encode([name, amount])),
    total: (_replica, tally, name: string) => tally.total(name),
    echo: (_replica, _tally, value: unknown) => value,
    log: (_replica, _tally, line: string) => console.log(line),
    crash() {
      console.error('about to crash')
      setImmediate(() => {
        throw new Error('a bug in the program')
      })
      return new Promise(() => {})
    },
  },
})
