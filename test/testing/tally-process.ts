import '../setup/package-by-name.ts'

const { encode, Tally } = await import('../../docs/examples/tally.ts')
const { serveReplica } = await import('../../src/testing/index.ts')

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
