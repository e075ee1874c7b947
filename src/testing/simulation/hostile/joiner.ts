import type { Position } from '../../../position.ts'
import { HASH_BYTES } from '../../../snapshot/hash.ts'
import { REQUEST_BYTES_MAX } from '../../../sync/limits.ts'
import type { Conversation } from './conversation.ts'
import { lengthPrefix } from './lies.ts'
import type { HostileMember } from './member.ts'

/** What a joiner does to a group that does not fetch honestly. It goes on until its life ends. */
export type Mischief = (member: HostileMember) => Promise<void>

const PAUSE_MS = 100
/** More streams than a replica lets one peer have open, which are 16 by default. */
const STREAMS = 24
/** More requests than a replica takes of one peer at once. */
const REQUESTS = 200

/** It asks for one anchor after the other, each above the newest entry, and fetches none. */
export const wantsAnchors: Mischief = (member) =>
  toLeader(member, async (leader) => {
    const { epoch, index } = member.newest()
    const above = member.chance.pick([0, index, Number.MAX_SAFE_INTEGER])
    await leader.ask({ type: 'snapshot', position: { epoch, index: above } })
  })

/** It pins an anchor, keeps it alive, and never fetches it. */
export const pinsForEver: Mischief = async (member) => {
  let pinned: Position | undefined
  await toLeader(member, async (leader) => {
    if (pinned === undefined) {
      const position = { ...member.newest(), index: 0 }
      const answer = await leader.ask({ type: 'snapshot', position })
      if (answer?.body.type !== 'anchored') return
      pinned = answer.body.anchor
      member.needs = pinned.index
    } else await leader.ask({ type: 'keepAlive', anchor: pinned })
  })
}

/** It asks for all chunks at once, and reads one answer every two seconds. */
export const trickles: Mischief = (member) =>
  toLeader(member, async (leader) => {
    const answer = await leader.ask({ type: 'snapshot', position: { ...member.newest(), index: 0 } })
    if (answer?.body.type !== 'anchored') return
    const { anchor } = answer.body
    const manifest = await leader.ask({ type: 'manifest', anchor, from: 0 })
    const count = manifest?.body.type === 'manifest' ? manifest.body.chunks.length : 0
    for (let first = 0; first < count; first++) await leader.send({ type: 'chunks', anchor, first, count: 1 })
    for (let n = 0; n < count; n++) {
      await member.sleep(2_000)
      await leader.next()
    }
  })

/** It opens more streams than it may, to everybody, and leaves them open. */
export const opensStreams: Mischief = async (member) => {
  for (;;) {
    for (const { id } of member.honest()) {
      const streams = await Promise.allSettled(Array.from({ length: STREAMS }, () => member.talkTo(id)))
      for (const stream of streams)
        if (stream.status === 'fulfilled') await stream.value.send({ type: 'offers' }).catch(() => {})
    }
    await member.sleep(10 * PAUSE_MS)
  }
}

/** It sends a flood of requests, and reads no answer. */
export const floods: Mischief = (member) =>
  toLeader(member, async (leader) => {
    const anchor = member.newest()
    for (let n = 0; n < REQUESTS; n++) await leader.send({ type: 'keepAlive', anchor })
    await member.sleep(20 * PAUSE_MS)
  })

/** It asks for what is not there. */
export const asksWrongly: Mischief = (member) =>
  toLeader(member, async (leader) => {
    const { chance } = member
    const anchor = { ...member.newest(), ...(chance.happens(0.3) && { epoch: 'another' }) }
    const far = chance.pick([0, 1, 0xffff_ffff])
    await leader.ask({ type: 'chunks', anchor, first: far, count: chance.pick([0, 1, 0xffff_ffff]) })
    await leader.ask({ type: 'manifest', anchor, from: far })
    await leader.ask({ type: 'hints', anchor, index: far })
    await leader.ask({ type: 'offer', offer: { anchor, remainingMs: 0xffff_ffff, ready: true } })
  })

const JUNK: readonly Uint8Array[] = [
  Buffer.from([...lengthPrefix(REQUEST_BYTES_MAX + 1), 1, 2, 3]),
  Buffer.from([0xff, 0xff, 0xff, 0xff, 0x7f]),
  Buffer.alloc(4_096, 0xff),
  Buffer.from([0]),
  Buffer.from([2, 5, 0]),
  Buffer.from([9, 8, 0xff, 1, 2, 3, 4, 5, 6, 7]),
  Buffer.from([3, 2, 8, 1]),
  Buffer.from([100, 1, 2, 3]),
]

/** It has not announced itself, and asks all the same: nobody is to tell it anything. */
export const intrudes: Mischief = async (member) => {
  for (;;) {
    for (const { id } of member.honest()) {
      const stream = await member.talkTo(id).catch(() => undefined)
      const position = { ...member.newest(), index: 0 }
      const bodies = [{ type: 'offers' }, { type: 'snapshot', position }] as const
      const answer = await stream?.ask(member.chance.pick(bodies)).catch(() => undefined)
      if (answer !== undefined && answer.body.type !== 'error') member.scene.intruders.push(member.life.name)
      stream?.end('enough')
    }
    await member.sleep(5 * PAUSE_MS)
  }
}

/** It sends what nobody can read. */
export const sendsJunk: Mischief = async (member) => {
  for (;;) {
    for (const { id } of member.honest()) {
      const stream = await member.talkTo(id).catch(() => undefined)
      await stream?.sendBytes(member.chance.pick(JUNK)).catch(() => {})
      await stream?.send({ type: 'offers' }).catch(() => {})
      await stream?.next().catch(() => {})
      stream?.end('enough')
    }
    await member.sleep(5 * PAUSE_MS)
  }
}

/** It writes into the log what is not for it to write. */
export const forges: Mischief = async (member) => {
  const { chance, id, scene } = member
  const root = () => Uint8Array.from({ length: HASH_BYTES }, () => chance.integer(0, 255))
  for (;;) {
    const { term, anchors } = scene.history.group
    const { index } = member.newest()
    const own = { electorate: [id], requesters: [id], chunkBytes: 1_024 }
    const known = [...anchors.keys()].slice(-3)
    const forgeries = [
      { type: 'claim', term },
      { type: 'claim', term: term + 2 },
      { type: 'claim', term: Number.MAX_SAFE_INTEGER },
      { type: 'marker', term, ...own },
      { type: 'marker', term: Math.max(0, term - 1), ...own },
      { type: 'marker', term: term + 1, ...own, retires: known },
      { type: 'prune', term, upTo: index },
      { type: 'prune', term: Math.max(0, term - 1), upTo: index },
      { type: 'tick', term },
      { type: 'attestation', anchor: index, root: root() },
      { type: 'attestation', anchor: known.at(-1) ?? index + 1, root: root() },
      { type: 'attestation', anchor: known[0] ?? Number.MAX_SAFE_INTEGER, root: new Uint8Array(0) },
    ] as const
    await member.append(chance.pick(forgeries), chance.pick(forgeries), root()).catch(() => {})
    await member.sleep(chance.integer(1, 5 * PAUSE_MS))
  }
}

/** Talk to the leader, again and again, however it ends. */
async function toLeader(member: HostileMember, talk: (leader: Conversation) => Promise<void>): Promise<void> {
  let leader: Conversation | undefined
  let of: string | undefined
  for (;;) {
    const id = member.leader() ?? member.honest()[0]?.id
    if (id !== of) {
      leader?.end('another leads')
      leader = undefined
    }
    of = id
    try {
      if (id !== undefined) {
        leader ??= await member.talkTo(id)
        await talk(leader)
      }
    } catch {
      leader = undefined
    }
    await member.sleep(PAUSE_MS)
  }
}
