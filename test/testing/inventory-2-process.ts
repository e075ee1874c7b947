import '../setup/package-by-name.ts'

await import('../../docs/examples/inventory-2-program.ts')
