/** Tells of the first signal, and goes on: what a command does whose stop takes long. */
import { Interrupt } from '../../src/cli/interrupt.ts'

const { signal } = new Interrupt()
signal.addEventListener('abort', () => console.log('aborted'))
setInterval(() => {}, 1_000)
console.log('ready')
