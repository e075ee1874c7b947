import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { NotifierMissing, SystemdNotify } from '../../src/cli/service/systemd-notify.ts'
import { canNotify, NotifySocket } from './notify-socket.ts'

test('without a socket nobody is told', () => {
  expect(SystemdNotify.in({ PATH: '/bin' })).toBeUndefined()
  expect(SystemdNotify.in({ NOTIFY_SOCKET: '' })).toBeUndefined()
})

test.skipIf(!canNotify)('systemd-notify takes messages to the socket, one datagram each', async () => {
  await using socket = await NotifySocket.open()
  const notify = SystemdNotify.in({ ...process.env, NOTIFY_SOCKET: socket.path })!
  await notify.send(['READY=1', 'STATUS=in-sync: Grüße, "x" $HOME -- ✓'])
  await notify.send(['STOPPING=1', 'STATUS=stopping'])
  expect(await socket.next()).toEqual(['READY=1', 'STATUS=in-sync: Grüße, "x" $HOME -- ✓'])
  expect(await socket.next()).toEqual(['STOPPING=1', 'STATUS=stopping'])
})

test.skipIf(!canNotify)('nobody at the socket: what the program says', async () => {
  const notify = SystemdNotify.in({ ...process.env, NOTIFY_SOCKET: '/nonexistent/notify' })!
  await expect(notify.send(['READY=1'])).rejects.toThrow('No such file or directory')
})

test('a program that is not there, or may not be run', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'anchorage-notify-'))
  const notify = SystemdNotify.in({ PATH: dir, NOTIFY_SOCKET: '/run/notify' })!
  try {
    await expect(notify.send(['READY=1'])).rejects.toThrow(NotifierMissing)
    await writeFile(join(dir, 'systemd-notify'), '#!/bin/sh\nexit 7\n')
    await expect(notify.send(['READY=1'])).rejects.toThrow(NotifierMissing)
    await chmod(join(dir, 'systemd-notify'), 0o700)
    await expect(notify.send(['READY=1'])).rejects.toThrow('systemd-notify ended with 7')
  } finally {
    await rm(dir, { recursive: true })
  }
})
