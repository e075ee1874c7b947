import { expect, test } from 'vitest'
import { ServiceManager } from '../../src/cli/service/service-manager.ts'
import { NotifierMissing } from '../../src/cli/service/systemd-notify.ts'
import type { ReplicaState } from '../../src/group/announcement.ts'
import type { CatchUpProgress } from '../../src/group/catch-up-progress.ts'
import type { ReplicaEvent } from '../../src/replica/events.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'

const EXTENDED = 'EXTEND_TIMEOUT_USEC=900000000'

/** A replica that is as it is told to be. */
class Puppet {
  state: ReplicaState = 'following'
  failure: Error | undefined
  position = { epoch: 'e', index: 0 }
  catchUp: CatchUpProgress | undefined
  readonly logConnected = true
  readonly #observers = new Set<(event: ReplicaEvent) => void>()

  observe = (observer: (event: ReplicaEvent) => void) => {
    this.#observers.add(observer)
    return () => this.#observers.delete(observer)
  }

  become(state: ReplicaState): void {
    this.state = state
    const event = { type: 'state', detail: { state } } as ReplicaEvent
    for (const observer of this.#observers) observer(event)
  }

  fetched(phase: CatchUpProgress['phase'], chunks: number): void {
    this.catchUp = { phase, chunks } as CatchUpProgress
  }
}

class Desk implements Disposable {
  readonly clock = new VirtualClock()
  readonly replica = new Puppet()
  readonly told: string[][] = []
  readonly notes: string[] = []
  /** Why messages do not arrive. */
  failure: Error | undefined
  readonly manager: ServiceManager

  constructor(failure?: Error) {
    this.failure = failure
    this.manager = new ServiceManager({
      clock: this.clock,
      send: async (assignments) => {
        this.told.push([...assignments])
        if (this.failure !== undefined) throw this.failure
      },
      note: (text) => void this.notes.push(text),
    })
  }

  /** What was told since this was asked last, after so long. */
  async after(seconds: number): Promise<string[][]> {
    for (let second = 0; second < seconds; second++) {
      await this.clock.turn()
      this.clock.advance(1_000)
    }
    await this.clock.turn()
    return this.told.splice(0)
  }

  [Symbol.dispose](): void {
    this.manager[Symbol.dispose]()
  }
}

const at = (index: number) => ({ epoch: 'e', index })
const applies = (index: number) => `STATUS=following: applies the log, and is at entry ${index}`

test('from the start until the stop, a message in 5 s', async () => {
  using desk = new Desk()
  const { replica, manager } = desk
  expect(await desk.after(0)).toEqual([[EXTENDED, 'STATUS=starting']])
  manager.follow(replica)
  expect(await desk.after(5)).toEqual([[EXTENDED, applies(0)]])
  for (const index of [1, 2, 3]) {
    replica.position = at(index)
    replica.become('lost')
    replica.become('following')
  }
  expect(await desk.after(4)).toEqual([])
  expect(await desk.after(1)).toEqual([[EXTENDED, applies(3)]])
  replica.become('in-sync')
  expect(await desk.after(0)).toEqual([['READY=1', 'STATUS=in-sync']])
  replica.position = at(4)
  expect(await desk.after(60)).toEqual([])
  replica.become('following')
  expect(await desk.after(5)).toEqual([['READY=1', applies(4)]])
  replica.become('in-sync')
  manager.stopping()
  expect(await desk.after(60)).toEqual([['READY=1', 'STOPPING=1', 'STATUS=stopping']])
})

test('a replica that was in sync before it is followed is ready at once', async () => {
  using desk = new Desk()
  await desk.after(0)
  desk.replica.state = 'in-sync'
  desk.manager.follow(desk.replica)
  expect(await desk.after(0)).toEqual([['READY=1', 'STATUS=in-sync']])
})

test('a start that gets on asks for time, and one that does not asks for none', async () => {
  using desk = new Desk()
  const { replica } = desk
  desk.manager.follow(replica)
  await desk.after(5)
  const asksAfter = async () => (await desk.after(5)).flat().includes(EXTENDED)
  replica.become('catching-up')
  const steps = [
    // No chunk has come.
    ['requesting', 0, false],
    ['choosing', 0, false],
    ['fetching', 0, false],
    ['requesting', 0, false],
    ['fetching', 1, true],
    ['fetching', 1, false],
    ['fetching', 2, true],
    ['verifying', 2, true],
    ['installing', 2, true],
    ['installing', 2, false],
  ] as const
  const asked = []
  for (const [phase, chunks] of steps) {
    replica.fetched(phase, chunks)
    asked.push([phase, chunks, await asksAfter()])
  }
  expect(asked).toEqual(steps)
  replica.position = at(9)
  expect(await asksAfter()).toBe(true)
  replica.become('in-sync')
  expect((await desk.after(5)).flat()).not.toContain(EXTENDED)
})

test('a replica that halts is told with its reason, and stops', async () => {
  using desk = new Desk()
  const { replica, manager } = desk
  manager.follow(replica)
  await desk.after(5)
  replica.failure = new Error('it tore')
  replica.become('halted')
  await desk.after(5)
  manager.stopping()
  expect(await desk.after(0)).toEqual([['STOPPING=1', 'STATUS=halted: it tore']])
})

test('a message that did not arrive comes again after a minute, with one note', async () => {
  using desk = new Desk(new Error('Connection refused'))
  const { replica, manager } = desk
  manager.follow(replica)
  expect(await desk.after(59)).toHaveLength(1)
  expect(await desk.after(2)).toEqual([[EXTENDED, applies(0)]])
  // That it is ready is tried at once.
  replica.become('in-sync')
  const ready = ['READY=1', 'STATUS=in-sync']
  expect(await desk.after(0)).toEqual([ready])
  desk.failure = undefined
  expect(await desk.after(120)).toEqual([ready])
  expect(desk.notes).toEqual([
    'the service manager did not take a message, and gets it again: Connection refused',
  ])
})

test('without the program there is one note, and no more tries', async () => {
  using desk = new Desk(new NotifierMissing('spawn systemd-notify ENOENT'))
  const { replica, manager } = desk
  await desk.after(0)
  manager.follow(replica)
  replica.become('in-sync')
  manager.stopping()
  expect(await desk.after(120)).toEqual([])
  expect(desk.notes).toEqual([expect.stringContaining('there is no systemd-notify here (spawn')])
})
