import { afterAll, beforeAll, expect, test } from 'vitest'
import type { LogPlace } from '../../src/log/log-place.ts'
import { type NatsServers, startNatsServers } from '../../src/testing/index.ts'
import { describeNats } from '../log/nats.ts'
import { describeWithRelease, lastRelease, type Release } from './last-release.ts'
import { MixedGroup } from './mixed-group.ts'

/** Groups of processes, some of which run the last release, and the others what is here. */
function groups(place: () => LogPlace | undefined): void {
  let old: Release

  beforeAll(async () => {
    old = await lastRelease()
  })

  test('a new replica joins a group of old ones', async () => {
    await using group = await MixedGroup.start([old, old], place())
    await group.join('today')
    group.expectNoHalt()
  })

  test('an old replica joins a group of an old and a new one, whichever of the two leads', async () => {
    await using group = await MixedGroup.start([old, 'today'], place())
    await group.join(old)
    const { name } = await group.cluster.leader()
    await group.member(name).stop()
    await group.join(old)
    await group.run(name, name === '0' ? old : 'today')
    await group.join(old)
    group.expectNoHalt()
  })

  test('members become new ones, one by one, and old ones again, while others write', async () => {
    await using group = await MixedGroup.start([old, old, old], place())
    for (const name of ['0', '1']) await group.changeUnderWrites(name, 'today', [old, 'today'])
    for (const name of ['1', '0']) await group.changeUnderWrites(name, old, [])
    for (const name of ['0', '1', '2']) await group.changeUnderWrites(name, 'today', [])
    const entries = await group.member('0').entries()
    expect(entries.length).toBeGreaterThan(5_000)
  })
}

describeWithRelease('the last release and this one, on SQLite', () => groups(() => undefined))

describeNats('on NATS', () => {
  describeWithRelease('the last release and this one', () => {
    let nats: NatsServers

    beforeAll(async () => {
      nats = await startNatsServers()
    })
    afterAll(() => nats.stop())

    groups(() => ({ servers: nats.urls }))
  })
})
