/** What tests of a log use beside the conformance suite. */
export { failureOf } from '../../src/testing/log/claims.ts'
export { commands, logInit as init, numbers, text } from '../../src/testing/log/entries.ts'
export { Follower, readAll } from '../../src/testing/log/follower.ts'
