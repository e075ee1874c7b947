import './source-package.ts'

await import('../../docs/examples/inventory-2-program.ts')
