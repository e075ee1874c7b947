import type { AnnouncedOffer } from '../../../group/announcement.ts'
import type { Replica } from '../../../replica/replica.ts'
import { REQUEST_BYTES_MAX } from '../../../sync/limits.ts'
import { type ByteStream, decodeFrames } from '../../../sync/wire/frames.ts'
import { decodeRequest, type Request } from '../../../sync/wire/messages.ts'
import type { Conversation } from './conversation.ts'
import { type Answer, type Lie, rawBytes } from './lies.ts'
import type { HostileMember } from './member.ts'

/** A member that says it serves, and tells what an honest replica tells it, but for its lie. */
export class Liar {
  readonly #member: HostileMember
  readonly #lie: Lie

  constructor(member: HostileMember, lie: Lie) {
    this.#member = member
    this.#lie = lie
  }

  begin(): void {
    this.#member.announceAs(() => {
      const honest = this.#honest()
      return { applied: honest?.position.index ?? 0, offers: offersOf(honest) }
    })
    this.#member.endpoint.serveWith((peer, stream) => this.#serve(peer, stream))
  }

  /** A replica that has something to tell, and has not asked itself. */
  #honest(except?: string): Replica<unknown> | undefined {
    const all = this.#member.honest().filter(({ id }) => id !== except)
    return all.find(({ offers }) => offers.length > 0) ?? all.find(({ state }) => state === 'in-sync')
  }

  async #serve(peer: string, stream: ByteStream): Promise<void> {
    const honest = this.#honest(peer)
    if (honest === undefined) throw new Error('nobody has anything to tell')
    const upstream = await this.#member.talkTo(honest.id)
    try {
      for await (const { header } of decodeFrames(stream.source, REQUEST_BYTES_MAX)) {
        const request = decodeRequest(header)
        this.#member.scene.world.note(this.#member.life.name, `lies about ${request.body.type}`)
        for await (const bytes of this.#lie(request, relayed(upstream, request)))
          await stream.send(rawBytes(bytes))
      }
      await stream.close()
    } finally {
      upstream.end('whoever asked has left')
    }
  }
}

/** What a replica offers, as it would announce it. */
function offersOf(replica: Replica<unknown> | undefined): AnnouncedOffer[] {
  return (replica?.offers ?? []).map(({ anchor, remainingMs, ready }) => ({
    anchor: anchor.index,
    remainingMs,
    ready,
  }))
}

/** The answers of an honest replica to a request, as answers to who asked. */
async function* relayed(upstream: Conversation, { id, body }: Request): AsyncGenerator<Answer> {
  await upstream.send(body)
  const count = body.type === 'chunks' ? body.count : 1
  for (let n = 0; n < count; n++) {
    const answer = await upstream.next()
    if (answer === undefined) return
    yield { ...answer, id }
    if (answer.body.type === 'error') return
  }
}
