import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  // The examples in docs/ import the package by its name, as users do.
  resolve: { alias: { anchorage: fileURLToPath(new URL('src/index.ts', import.meta.url)) } },
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // A CommonJS module's default import is its `module.exports`, as in Node.
    deps: { interopDefault: false },
  },
})
