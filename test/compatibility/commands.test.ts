import { afterEach, beforeEach, expect, test } from 'vitest'
import { Place, type Printed } from '../cli/anchorage.ts'
import { describeWithRelease, lastRelease } from './last-release.ts'

const leads = ({ event }: Printed) => event === 'leader'

describeWithRelease("a replica of the last release, and this one's command line", () => {
  let place: Place
  let main: string
  beforeEach(async () => {
    place = await Place.make()
    main = (await lastRelease()).cli
  })
  afterEach(async () => {
    await place[Symbol.asyncDispose]()
  })

  test('what it does not know is done without it, and what only it could do is told', async () => {
    await place.run(['set', 'a', '1', '--create'])
    const node = place.start(['node', '--data', 'one', '--lease-ms', '1000'], { main })
    await node.until(leads)
    expect(await place.run(['get', 'a'])).toEqual({ code: 0, stdout: '1\n', stderr: '' })
    expect((await place.run(['get', 'b'])).stderr).toContain('there is no key "b"')
    const status = JSON.parse((await place.run(['status', '--json'])).stdout)
    expect(status).toMatchObject({ signature: 'map/2;keys=utf8;values=json', format: null })
    expect((await place.run(['members'])).stdout).toContain('map/2;keys=utf8;values=json')
    expect(JSON.parse((await place.run(['verify', '--json'])).stdout)).toMatchObject({ agree: true })
    expect((await place.run(['checkpoint'])).stdout).toMatch(/is on the disks of/)
    expect((await place.run(['export', 'backup'])).code).toBe(0)
    expect((await place.run(['verify', 'backup'])).stdout).toContain('intact')
    const pruned = await place.run(['prune'])
    expect(pruned.code).toBe(1)
    expect(pruned.stderr).toContain('is of an older release that takes no orders')
  })

  test('its own command line reads a group of this release', async () => {
    await place.run(['set', 'a', '1', '--create'])
    const node = place.start(['node', '--lease-ms', '1000'], { main })
    await node.until(leads)
    const second = place.start(['node', '--lease-ms', '1000', '--reader'])
    await second.until(({ event, detail }) => event === 'state' && detail.state === 'in-sync')
    for (const args of [['get', 'a'], ['status'], ['verify']])
      expect(await place.run(args, { main })).toMatchObject({ code: 0, stderr: '' })
  })
})
