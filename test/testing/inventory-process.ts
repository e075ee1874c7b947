import '../setup/package-by-name.ts'

await import('../../docs/examples/inventory-program.ts')
