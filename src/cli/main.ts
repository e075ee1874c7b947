#!/usr/bin/env node
// Nothing that needs a newer Node may be imported before its version is known.
const NODE_MAJOR_MIN = 24
/** A project that "init" writes brings its own Node, so that much works on the one that there is. */
const NODE_MAJOR_MIN_OF_INIT = 20

const major = Number.parseInt(process.versions.node, 10)
const isOld = major < NODE_MAJOR_MIN

if (isOld && (process.argv[2] !== 'init' || major < NODE_MAJOR_MIN_OF_INIT)) {
  console.error(
    `anchorage: this is Node.js ${process.versions.node}, and anchorage needs ${NODE_MAJOR_MIN} or newer. A new project brings its own: type "npx anchorage init my-app", with Node.js ${NODE_MAJOR_MIN_OF_INIT} or newer. In a project of yours, type "npm pkg set --json allowScripts.node=true" and "npm install anchorage node@${NODE_MAJOR_MIN}", then the same command again with npx.`,
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
