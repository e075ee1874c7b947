#!/usr/bin/env node
// Nothing that needs a newer Node may be imported before its version is known.
const NODE_MAJOR_MIN = 24
/** A project that "init" writes brings its own Node, so that much works on the one that there is. */
const NODE_MAJOR_MIN_OF_INIT = 20

const major = Number.parseInt(process.versions.node, 10)
const isOld = major < NODE_MAJOR_MIN

if (isOld && (process.argv[2] !== 'init' || major < NODE_MAJOR_MIN_OF_INIT)) {
  console.error(
    `anchorage: this is Node.js ${process.versions.node}, and anchorage needs ${NODE_MAJOR_MIN} or newer: type "npm install anchorage node@${NODE_MAJOR_MIN}", then the same command again with npx. For a new project, which brings its own Node.js, type "npx anchorage init my-app".`,
  )
  process.exitCode = 1
} else {
  if (!isOld) {
    // Starting takes half the time when Node keeps what it compiled from one start to the next.
    const { enableCompileCache } = await import('node:module')
    enableCompileCache()
    const { tuneGarbageCollection } = await import('../garbage-collection.ts')
    tuneGarbageCollection()
  }
  const { run } = await import('./run.ts')
  process.exitCode = await run(process.argv.slice(2))
}

export {}
