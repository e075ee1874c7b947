import { afterAll, beforeAll, expect, test } from 'vitest'
import type { LogPlace } from '../../src/log/log-place.ts'
import { type NatsServers, type ProcessEvent, startNatsServers } from '../../src/testing/index.ts'
import { describeNats } from '../log/nats.ts'
import { describeWithRelease, lastRelease, type Release } from './last-release.ts'
import { MixedGroup } from './mixed-group.ts'

/**
 * Groups of processes, some of which run the last release, and the others what is here.
 *
 * @param refusal what the last release says of a log of a group that has gone over to what it does not speak
 */
function groups(place: () => LogPlace | undefined, refusal: RegExp): void {
  let old: Release

  beforeAll(async () => {
    old = await lastRelease()
  })

  test('a new replica joins a group of old ones', async () => {
    await using group = await MixedGroup.start([old, old], { log: place() })
    await group.join('today')
    group.expectNoHalt()
  })

  test('an old replica joins a group of an old and a new one, whichever of the two leads', async () => {
    await using group = await MixedGroup.start([old, 'today'], { log: place() })
    await group.join(old)
    const { name } = await group.cluster.leader()
    await group.member(name).stop()
    await group.join(old)
    await group.run(name, name === '0' ? old : 'today')
    await group.join(old)
    group.expectNoHalt()
  })

  test('members become new ones, one by one, and old ones again, while others write', async () => {
    await using group = await MixedGroup.start([old, old, old], { log: place() })
    for (const name of ['0', '1']) await group.changeUnderWrites(name, 'today', [old, 'today'])
    for (const name of ['1', '0']) await group.changeUnderWrites(name, old, [])
    for (const name of ['0', '1', '2']) await group.changeUnderWrites(name, 'today', [])
    const entries = await group.member('0').entries()
    expect(entries.length).toBeGreaterThan(5_000)
  })

  test('once the group has gone over, old replicas are refused, also where all were put back', async () => {
    await using group = await MixedGroup.start([old, 'today', 'today'], {
      log: place(),
      upgrade: { afterMs: 0 },
    })
    await group.hasFormat(1)
    await group.changeUnderWrites('0', 'today', [])
    await group.hasFormat(2)
    await group.join('today')
    await expect(group.run('joiner', old)).rejects.toThrow(refusal)

    for (const { name } of group.running) await group.member(name).stop()
    for (const name of ['0', '1', '2']) await expect(group.run(name, old)).rejects.toThrow(refusal)
    for (const name of ['0', '1', '2']) await group.run(name, 'today')
    await group.join('today')
    await group.hasFormat(2)
    group.expectNoHalt()
  })

  test('a group of new replicas is of the newest format from its beginning, and refuses old ones', async () => {
    await using group = await MixedGroup.start(['today'], { log: place() })
    await group.hasFormat(2)
    await expect(group.run('joiner', old)).rejects.toThrow(refusal)
  })

  test('an old replica that was away while the group went over finds out, and holds up nobody', async () => {
    const options = { log: place(), upgrade: { afterMs: 0 } }
    await using group = await MixedGroup.start([old, 'today'], options)
    const away = await group.leaveOut('0')
    await group.hasFormat(2)
    const since = away.events.length
    away.resume()

    const here = group.member('1')
    const isHalted = (event: ProcessEvent) => event.type === 'state' && event.detail.state === 'halted'
    await group.cluster.waitUntil('the old one is halted', async () => {
      const anchor = await here.mark()
      const isOurs = (event: ProcessEvent) =>
        event.type === 'sealed' && event.detail.anchor.index === anchor.index
      await here.waitFor(isOurs)
      return away.events.slice(since).some(isHalted)
    })
    const { detail } = await away.waitFor(isHalted, { since })
    expect(detail).toMatchObject({
      reason: { name: 'Diverged', message: expect.stringContaining('another version') },
    })
    await expect(away.get('key-00000000')).rejects.toMatchObject({ name: 'NotReadable' })
    await away.stop()
    await group.join('today')
    expect(here.events.filter(isHalted)).toEqual([])
  })
}

describeWithRelease('the last release and this one, on SQLite', () => {
  groups(
    () => undefined,
    /is of format 2, this version reads format 1: use the version of anchorage that wrote it/,
  )
})

describeNats('on NATS', () => {
  describeWithRelease('the last release and this one', () => {
    let nats: NatsServers

    beforeAll(async () => {
      nats = await startNatsServers()
    })
    afterAll(() => nats.stop())

    groups(
      () => ({ servers: nats.urls }),
      /of the signature "of a newer version of anchorage: install the one that the other replicas run"/,
    )
  })
})
