import type { SimulatedNode } from './node.ts'
import type { Scene } from './scene.ts'

/** Does what docs/operations.md says about what replicas tell. */
export class Operator {
  readonly #scene: Scene

  constructor(scene: Scene) {
    this.#scene = scene
  }

  /** Start what is down, replace what told its end, and have everybody run the newest version of the program. */
  lookAfter(): void {
    const { nodes, newest } = this.#scene
    for (const node of nodes) if (node.running === undefined || node.running.isStopped) node.install(newest)
    for (const node of this.#scene.permanent) {
      const { running } = node
      if (running === undefined) this.#startAgain(node)
      else if (running.isStopped) node.start()
    }
    this.replaceHalted()
    this.#rollOne()
    const { upgradeAfterMs } = this.#scene.plan.settings
    const inSync = this.#scene.permanent.find(({ replica }) => replica?.state === 'in-sync')
    const isAsked = this.#scene.requests.open.some(({ what }) => what === 'upgrade')
    const isDue = upgradeAfterMs === 'manual' && this.#scene.isRolled && !isAsked
    if (isDue && inSync !== undefined) this.upgrade(inSync)
  }

  /** Have the group go over to the newest version that all speak. Only the leader does that, so it is looked for. */
  upgrade(node: SimulatedNode): void {
    const { requests, nodes } = this.#scene
    const leader = nodes.find(({ replica }) => replica !== undefined && replica.id === node.replica?.leader)
    const { replica, running } = leader ?? node
    if (replica === undefined || running === undefined || running.isStopping) return
    requests.ask(running.life, 'upgrade', () => replica.upgrade())
  }

  /** One at a time, and only if another one has the state, or the disk. */
  #rollOne(): void {
    const { nodes, permanent, newest, plan, log } = this.#scene
    if (permanent.some(({ running }) => running?.isStopping)) return
    const old = nodes.find(
      ({ running }) => running?.replica && !running.isStopping && running.program !== newest,
    )
    if (old === undefined) return
    const isKept = plan.settings.durable || log.record.first === 1
    if (!isKept && !nodes.some((other) => other !== old && other.replica?.state === 'in-sync')) return
    old.install(newest)
    if (!permanent.includes(old)) {
      old.kill()
      old.start()
    } else if (old.running !== undefined)
      this.#scene.requests.ask(old.running.life, 'stop', async () => await old.stop())
  }

  /** Replace what told its end, and could not start. */
  replaceHalted(): void {
    const { nodes, permanent } = this.#scene
    for (const node of nodes) {
      const { running } = node
      if (running?.replica?.state === 'halted' && !running.isStopping) {
        if (permanent.includes(node)) this.#replace(node, running.halted)
        else node.kill()
      } else if (running === undefined && node.newest?.failure !== undefined && permanent.includes(node))
        this.#startAgain(node)
    }
  }

  #startAgain(node: SimulatedNode): void {
    switch (node.newest?.failure?.name) {
      case 'DirectoryOfAnotherLog':
        // There is no other log any more.
        return node.start({ newLog: true })
      case 'LogMismatch':
        return this.#startNewest(node)
      // Its key is rotten: the message says to remove it, and the replica becomes a new one.
      case 'DirectoryUnusable':
      case 'IdentityInUse':
        node.wipe()
        return node.start()
      default:
        return node.start()
    }
  }

  #startNewest(node: SimulatedNode): void {
    node.install(this.#scene.newest)
    node.start()
  }

  #replace(node: SimulatedNode, halted: Error | undefined): void {
    if (halted?.name === 'UpgradeRequired') {
      node.kill()
      return this.#startNewest(node)
    }
    // Of a log that was made anew, the directory tells the next process that it is of another one.
    if (halted?.name === 'EpochChanged') node.kill()
    else node.wipe()
    node.start()
  }
}
