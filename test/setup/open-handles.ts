import { createHook } from 'node:async_hooks'
import { readdirSync, readlinkSync } from 'node:fs'

/** What keeps a process running, by its name in `async_hooks`. What only waits for the disk ends by itself. */
const KINDS = new Set([
  'FSEVENTWRAP',
  'Immediate',
  'MESSAGEPORT',
  'PIPESERVERWRAP',
  'PIPEWRAP',
  'PROCESSWRAP',
  'STATWATCHER',
  'TCPSERVERWRAP',
  'TCPWRAP',
  'Timeout',
  'UDPWRAP',
  'WORKER',
])
/** What was told to close needs a few turns of the event loop. */
const POLL_INTERVAL_MS = 20
const STACK_FRAMES = 30
const RUNNER_FRAMES = /node_modules\/(vitest|@vitest)\//
const NODE_FRAMES = /[( ]node:|<anonymous>/
const DESCRIPTORS = '/proc/self/fd'

interface Opened {
  readonly kind: string
  readonly resource: WeakRef<object>
  /** Where it was opened. Its text is made only when somebody wants it. */
  readonly where: Error
}

/** All that was opened since this was made, and was not closed. */
export class OpenHandles {
  readonly #opened = new Map<number, Opened>()
  #watching = true
  readonly #files = openFiles()
  readonly #hook = createHook({
    init: (id, kind, _trigger, resource) => {
      if (!this.#watching || !KINDS.has(kind)) return
      const { stackTraceLimit } = Error
      Error.stackTraceLimit = STACK_FRAMES
      this.#opened.set(id, { kind, resource: new WeakRef(resource), where: new Error(kind) })
      Error.stackTraceLimit = stackTraceLimit
    },
    destroy: (id) => {
      this.#opened.delete(id)
    },
    trackPromises: false,
  }).enable()

  readonly #ignored: (file: string) => boolean

  /** @param ignored files that may stay open */
  constructor(ignored: (file: string) => boolean) {
    this.#ignored = ignored
  }

  /** What is left, after it had so many milliseconds to close. Nothing is watched any more then. */
  async left(graceMs: number): Promise<string[]> {
    this.#watching = false
    const untilMs = performance.now() + graceMs
    for (;;) {
      const left = this.#look()
      if (left.length === 0 || performance.now() >= untilMs) {
        this.#hook.disable()
        return left
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS))
    }
  }

  #look(): string[] {
    const handles = [...this.#opened.values()].filter(isOpen).map(({ kind, where }) => describe(kind, where))
    const files = [...openFiles()].filter((file) => !this.#files.has(file) && !this.#ignored(file))
    return [...handles.filter((handle) => handle !== undefined), ...files.map((file) => `the file ${file}`)]
  }
}

/** Whether it keeps the process running. One that is over answers nothing at all. */
function isOpen({ resource }: Opened): boolean {
  const handle = resource.deref() as { hasRef(): boolean | undefined } | undefined
  return handle?.hasRef() === true
}

/** Undefined for what the test runner opened for itself. */
function describe(kind: string, { stack = '' }: Error): string | undefined {
  const frames = stack.split('\n').slice(1)
  const foreign = frames.filter((frame) => !NODE_FRAMES.test(frame) && !frame.includes(import.meta.filename))
  if (foreign[0] !== undefined && RUNNER_FRAMES.test(foreign[0])) return undefined
  return [kind, ...foreign.filter((frame) => !RUNNER_FRAMES.test(frame))].join('\n')
}

/** The files that this process has open. Sockets and pipes are not among them. Empty where Linux does not tell. */
function openFiles(): Set<string> {
  const files = new Set<string>()
  for (const descriptor of descriptors()) {
    try {
      const path = readlinkSync(`${DESCRIPTORS}/${descriptor}`)
      if (path.startsWith('/') && !path.startsWith('/dev/') && !path.startsWith('/proc/')) files.add(path)
    } catch {
      // It was the one of the directory itself.
    }
  }
  return files
}

function descriptors(): string[] {
  try {
    return readdirSync(DESCRIPTORS)
  } catch {
    return []
  }
}
