import type { Chance } from '../chance.ts'
import type { Life } from '../life.ts'
import type { Scene } from '../scene.ts'
import * as joiner from './joiner.ts'
import { Liar } from './liar.ts'
import * as lies from './lies.ts'
import { HostileMember } from './member.ts'

/** A bomb inflates to this. Any more than a chunk is enough, and more would only cost the run's time. */
const BOMB_BYTES = 1 << 20
const ITEMS = 40
const ITEM_BYTES = 100
const CHUNK_BYTES = 1_024

const LIES: Readonly<Record<string, (chance: Chance) => lies.Lie>> = {
  'wrong bytes': () => lies.wrongBytes,
  'a short chunk': () => lies.shortChunk,
  'a chunk twice': () => lies.duplicateChunk,
  'chunks in another order': () => lies.reorderedChunks,
  'a frame too long': () => lies.oversizedFrame,
  'a chunk unasked for': () => lies.unaskedChunk,
  'a bomb': () => lies.bomb(BOMB_BYTES),
  'another state': (chance) => lies.anotherState(itemsOf(chance), CHUNK_BYTES),
  silence: () => lies.silence,
  'an endless list': () => lies.endlessList,
  'a list without end': () => lies.listWithoutEnd,
}

const MISCHIEF: Readonly<Record<string, joiner.Mischief>> = {
  'wants anchors': joiner.wantsAnchors,
  'pins for ever': joiner.pinsForEver,
  trickles: joiner.trickles,
  'opens streams': joiner.opensStreams,
  floods: joiner.floods,
  'asks wrongly': joiner.asksWrongly,
  'sends junk': joiner.sendsJunk,
  forges: joiner.forges,
  intrudes: joiner.intrudes,
}

/** What a hostile member may do, by the number of its kind. */
export const KINDS: readonly string[] = [...Object.keys(LIES), ...Object.keys(MISCHIEF)]

/** Have a member come that is not honest. Its life ends what it does. */
export function beginHostile(scene: Scene, node: string, kind: number): Life {
  const member = new HostileMember(scene, node)
  const name = KINDS[kind % KINDS.length]!
  scene.world.note(node, `is hostile: ${name}`)
  void begin(member, name).catch((error: Error) => scene.world.note(node, `gives up: ${error.name}`))
  return member.life
}

async function begin(member: HostileMember, name: string): Promise<void> {
  await member.openLog()
  const lie = LIES[name]
  if (lie !== undefined) return new Liar(member, lie(member.chance)).begin()
  // An intruder is no member.
  if (name !== 'intrudes') member.announceAs(() => ({}))
  await MISCHIEF[name]?.(member)
}

/** Items that nobody wrote. */
function itemsOf(chance: Chance): Uint8Array[] {
  return Array.from({ length: ITEMS }, () =>
    Uint8Array.from({ length: ITEM_BYTES }, () => chance.integer(0, 255)),
  )
}
