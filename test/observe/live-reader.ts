import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import type { ProcessEvent } from '../../src/observe/events.ts'
import type { PageView } from '../../src/observe/page/view.ts'

export interface LiveMessage {
  readonly type: string
  readonly id: string | undefined
  readonly data: string
}

/** Reads `/live` of a server, as a browser's EventSource does. */
export class LiveReader implements AsyncDisposable {
  readonly response: IncomingMessage
  readonly #messages: AsyncGenerator<LiveMessage>
  /** What the server says of coming back, in milliseconds. */
  retryMs = 0
  lastId: string | undefined

  private constructor(response: IncomingMessage) {
    this.response = response
    this.#messages = this.#parse()
  }

  /** Rejects unless a stream is the answer. */
  static async open(url: string, headers: Record<string, string> = {}): Promise<LiveReader> {
    const asked = request(`${url}/live`, { agent: false, headers }).end()
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    // A server that closes destroys the connection.
    asked.on('error', () => {})
    response.on('error', () => {})
    if (response.statusCode !== 200) throw new Error(`the answer is ${response.statusCode}`)
    return new LiveReader(response)
  }

  /** The next message; undefined at the end of the stream. */
  async next(): Promise<LiveMessage | undefined> {
    const { value, done } = await this.#messages.next()
    return done ? undefined : value
  }

  /** The first view from here on that `fits`. */
  async view(fits: (view: PageView) => boolean = () => true): Promise<PageView> {
    for (;;) {
      const { type, data } = await this.#some()
      if (type !== 'view') continue
      const view: PageView = JSON.parse(data)
      if (fits(view)) return view
    }
  }

  /** The first event from here on that `fits`. Those that came before a view that was waited for are passed over. */
  async event(fits: (event: ProcessEvent) => boolean = () => true): Promise<ProcessEvent> {
    for (;;) {
      const { type, data } = await this.#some()
      if (type !== 'event') continue
      const event: ProcessEvent = JSON.parse(data)
      if (fits(event)) return event
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.response.destroy()
  }

  async #some(): Promise<LiveMessage> {
    const message = await this.next()
    if (message === undefined) throw new Error('the stream ended')
    return message
  }

  async *#parse(): AsyncGenerator<LiveMessage> {
    let text = ''
    try {
      for await (const piece of this.response.setEncoding('utf8')) {
        const messages = `${text}${piece}`.split('\n\n')
        text = messages.pop()!
        for (const message of messages) {
          const fields = new Map(message.split('\n').map(fieldOf))
          this.retryMs = Number(fields.get('retry') ?? this.retryMs)
          const type = fields.get('event')
          if (type === undefined) continue
          this.lastId = fields.get('id') ?? this.lastId
          yield { type, id: fields.get('id'), data: fields.get('data')! }
        }
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error
    }
  }
}

function fieldOf(line: string): [name: string, value: string] {
  const [, name, value] = /^(\w+): (.*)$/s.exec(line) ?? []
  if (name === undefined) throw new Error(`no field of an event: ${line}`)
  return [name, value!]
}
