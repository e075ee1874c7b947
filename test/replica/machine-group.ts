import { memoryLog } from '../../src/log/memory.ts'
import type { StateMachine } from '../../src/machine/machine.ts'
import type { ReplicaInit } from '../../src/replica/init.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { createReplica } from '../../src/replica/start.ts'
import { leads, TIMES } from './cluster.ts'

export interface Member<M extends StateMachine> {
  readonly machine: M
  readonly replica: Replica<unknown>
}

/** Replicas of one kind of machine in one process: libp2p on loopback, one log in memory. */
export class MachineGroup<M extends StateMachine> implements AsyncDisposable {
  readonly log = memoryLog()
  readonly #make: () => M
  readonly #replicas: Replica<unknown>[] = []

  /** @param make a fresh machine */
  constructor(make: () => M) {
    this.#make = make
  }

  async start(init: Partial<ReplicaInit<unknown>> = {}, machine = this.#make()): Promise<Member<M>> {
    const replica = await createReplica<unknown>({
      group: 'machines',
      machine,
      log: this.log,
      volatile: true,
      chunkBytes: 64,
      ...TIMES,
      ...init,
    })
    this.#replicas.push(replica)
    return { machine, replica }
  }

  /** One that leads, and others that never will. */
  async startLed(others: number, init: Partial<ReplicaInit<unknown>> = {}): Promise<Member<M>[]> {
    const members = [await this.start(init)]
    await leads(members[0]!.replica)
    while (members.length <= others) members.push(await this.start({ lead: false, ...init }))
    await Promise.all(members.map(({ replica }) => replica.inSync()))
    return members
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#replicas.map((replica) => replica.stop()))
  }
}

/** All have applied what was written before. */
export async function settled(members: readonly Member<StateMachine>[]): Promise<void> {
  await Promise.all(members.map(({ replica }) => replica.barrier()))
}
