#!/usr/bin/env node
// Nothing that needs a newer Node may be imported before its version is known.
const NODE_MAJOR_MIN = 24

if (Number.parseInt(process.versions.node, 10) < NODE_MAJOR_MIN) {
  console.error(
    `anchorage: this is Node.js ${process.versions.node} and anchorage needs ${NODE_MAJOR_MIN} or newer: upgrade it, or run "npm install node@${NODE_MAJOR_MIN}" beside anchorage and start it with "npx anchorage".`,
  )
  process.exitCode = 1
} else {
  // Starting takes half the time when Node keeps what it compiled from one start to the next.
  const { enableCompileCache } = await import('node:module')
  enableCompileCache()
  const { tuneGarbageCollection } = await import('../garbage-collection.ts')
  tuneGarbageCollection()
  const { run } = await import('./run.ts')
  process.exitCode = await run(process.argv.slice(2))
}

export {}
