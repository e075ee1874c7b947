import './source-package.ts'

await import('../../docs/examples/inventory-program.ts')
