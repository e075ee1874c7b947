/** A playlist that two people write at once: `node playlist.ts`. Nobody moves a song that they did not mean. */
import { createReplica, memoryLog } from 'anchorage'
import { IndexOutOfRange, ReplicatedList } from 'anchorage/machines'

interface Song {
  readonly title: string
  readonly by: string
}

export async function main(say: (line: string) => void = console.log): Promise<void> {
  const log = memoryLog()
  const ann = new ReplicatedList<Song>({ name: 'playlist' })
  const bob = new ReplicatedList<Song>({ name: 'playlist' })
  await using first = await createReplica({ group: 'party', machine: ann, log, volatile: true })
  await using second = await createReplica({ group: 'party', machine: bob, log, volatile: true, lead: false })
  await Promise.all([first.inSync(), second.inSync()])
  bob.addEventListener('change', ({ detail }) => {
    if (detail.type === 'insert') say(`bob sees ${detail.value.title} at ${detail.index}`)
  })

  await ann.pushMany([
    { title: 'Gloria', by: 'Patti Smith' },
    { title: 'Hounds of Love', by: 'Kate Bush' },
  ])
  await second.barrier()

  // Ann plays the first song. Bob does not know yet, and means the one that he sees first.
  const seen = bob.at(0)!
  const [played, isReplaced] = await Promise.all([
    ann.shift(),
    bob.compareAndSet(0, seen, { title: 'Hyperballad', by: 'Björk' }),
  ])
  say(`ann plays ${played.result?.title}; bob ${isReplaced.result ? 'replaced it before' : 'came too late'}`)

  const refusal = await bob.delete(9).catch((error: Error) => error)
  if (refusal instanceof IndexOutOfRange) say(refusal.message)
  say(`left: ${bob.slice().map(({ title }) => title)}`)
}

if (import.meta.main) await main()
