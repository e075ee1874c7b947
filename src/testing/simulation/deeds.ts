import type { Submit } from '../../machine/machine.ts'
import type { Chance } from './chance.ts'
import { beginHostile } from './hostile/index.ts'
import { Mistakes } from './mistakes.ts'
import { type SimulatedNode, speaks, spokenBy } from './node.ts'
import { Operator } from './operator.ts'
import type { Step } from './plan.ts'
import type { Passed } from './requests.ts'
import type { Scene } from './scene.ts'
import { programsOf } from './workload.ts'

/** Writes before the steps begin, where the workload does not say. */
const FILLED_DEFAULT = 20
/** How long an operator takes to notice what replicas tell, in milliseconds of virtual time. */
const NOTICED_MS = [500, 3_000, 60_000]
/**
 * When a process notices that it cannot reach servers, in milliseconds. A ping of NATS that is not answered
 * takes longer.
 */
const NOTICE_MS = [0, 0, 2_000, 20_000]
/** Why a log appends nothing: the lock of a file is held, or its servers say so. */
const REFUSALS = { local: ['busy'], service: ['unavailable', 'refused'] } as const
/**
 * How long a copy of a disk runs on a machine that has no other business, in milliseconds of virtual time.
 */
const COPY_LIVES_MS = 8_000
/** What a process reads of its disk when it starts. */
const CHECKPOINTS = '/data/checkpoints'

/** Does the steps of a plan. What a step does to the world ends by itself, or when all trouble ends. */
export class Deeds {
  readonly #scene: Scene
  #tags = 0
  /** Steps that wait for somebody to catch up. */
  readonly #waiting: Step[] = []
  readonly #chance: Chance
  readonly #operator: Operator
  readonly #mistakes: Mistakes
  #hostile = 0
  /** How to end what is still done to the world. */
  readonly #undo = new Set<() => void>()
  #isMended = false

  constructor(scene: Scene) {
    this.#scene = scene
    this.#chance = scene.world.chance('deeds')
    this.#operator = new Operator(scene)
    this.#mistakes = new Mistakes(scene)
  }

  /** The writes before the steps. */
  fill(): void {
    const { permanent, workload } = this.#scene
    const count = workload.filled ?? FILLED_DEFAULT
    for (const node of permanent) this.#write(node, Math.ceil(count / permanent.length))
  }

  /** Do a step, or have it wait until somebody catches up. */
  plan(step: Step): void {
    if (step.during === undefined) this.#do(step)
    else this.#waiting.push(step)
  }

  /** Somebody has begun to catch up. It takes a few round trips, so what is done comes within some. */
  caughtUpBegins(): void {
    const { world, plan } = this.#scene
    const roundTripMs = 2 * plan.settings.latencyMs + plan.settings.jitterMs
    for (const step of this.#waiting.splice(0, 2))
      world.schedule(this.#chance.next() * 8 * roundTripMs, () => {
        if (!this.#isMended) this.#do(step)
      })
  }

  #do(step: Step): void {
    const { world, network, log, nodes } = this.#scene
    world.note('plan', told(step))
    switch (step.do) {
      case 'write':
        return this.#write(nodes[step.node]!, step.count)
      case 'mark':
      case 'barrier':
      case 'prune':
        return this.#ask(nodes[step.node]!, step.do)
      case 'pause': {
        const life = nodes[step.node]!.running?.life
        life?.pause()
        return this.#for(step.forMs, () => life?.resume())
      }
      case 'crash':
        return this.#crash(step)
      case 'restart': {
        const node = nodes[step.node]!
        this.#stop(node)
        return this.#restartAfter(step.forMs, node)
      }
      case 'wipe': {
        const node = nodes[step.node]!
        if (!this.#mayLoseState(node)) return
        node.wipe()
        return this.#restartAfter(step.forMs, node)
      }
      case 'join': {
        const node = nodes[step.node]!
        // It was told to begin anew: the log that it followed was put back.
        if (node.newest?.halted?.name === 'LogRewound') node.wipe()
        node.start()
        return this.#for(step.forMs, () => this.#stop(node))
      }
      case 'cut':
        network.cut(nodes[step.from]!.name, nodes[step.to]!.name)
        return this.#for(step.forMs, () => network.mend(nodes[step.from]!.name, nodes[step.to]!.name))
      case 'isolate': {
        const { name } = nodes[step.node]!
        network.isolate(name)
        return this.#for(step.forMs, () => network.mend(name))
      }
      case 'silence': {
        const { name } = nodes[step.node]!
        network.silence(name)
        return this.#for(step.forMs, () => network.speak(name))
      }
      case 'disconnect':
        return network.disconnect(nodes[step.from]!.name, nodes[step.to]!.name)
      case 'slow': {
        const { name } = nodes[step.node]!
        const { latencyMs, jitterMs, bytesPerSecond } = this.#scene.plan.settings
        network.setQuality({ latencyMs: step.latencyMs, bytesPerSecond: step.bytesPerSecond }, name)
        return this.#for(step.forMs, () => network.setQuality({ latencyMs, jitterMs, bytesPerSecond }, name))
      }
      case 'log-away': {
        const name = step.node === 'all' ? undefined : nodes[step.node]!.name
        log.goAway(name, this.#chanceOf(step).pick(NOTICE_MS))
        return this.#for(step.forMs, () => log.comeBack(name))
      }
      case 'log-refuse':
        return log.refuse(this.#chanceOf(step).pick(REFUSALS[log.kind]), step.count)
      case 'log-lose-acks':
        return log.loseAcks(step.count)
      case 'log-lose-requests':
        return log.loseRequests(step.count)
      case 'log-tear':
        return log.tearAppends(step.count)
      case 'log-slow': {
        const { name } = nodes[step.node]!
        log.slowReader(name, step.delayMs)
        return this.#for(step.forMs, () => log.slowReader(name, 0))
      }
      case 'step-wall':
        return step.node === 'log' ? log.stepWall(step.byMs) : nodes[step.node]!.stepWall(step.byMs)
      case 'disk-full':
        nodes[step.node]!.disk.fill(0)
        return this.#for(step.forMs, () => nodes[step.node]!.disk.mend())
      case 'disk-read-only':
        nodes[step.node]!.disk.readOnly(true)
        return this.#for(step.forMs, () => nodes[step.node]!.disk.mend())
      case 'disk-fails':
        nodes[step.node]!.disk.fail('EIO', 0)
        return this.#for(step.forMs, () => nodes[step.node]!.disk.mend())
      case 'disk-lies':
        nodes[step.node]!.disk.lieAboutFlush(true)
        return this.#for(step.forMs, () => nodes[step.node]!.disk.lieAboutFlush(false))
      case 'rot':
        return this.#rot(nodes[step.node]!, step.forMs)
      case 'operator-prune':
        return log.prune(Math.max(0, this.#scene.history.newest - step.keep))
      case 'hostile': {
        const life = beginHostile(this.#scene, `x${++this.#hostile}`, step.kind)
        return this.#for(step.forMs, () => life.kill())
      }
      case 'lose-presences':
        return log.losePresences()
      case 'freeze-presences': {
        const { name } = nodes[step.node]!
        log.freezePresences(name)
        return this.#for(step.forMs, () => log.thawPresences(name))
      }
      case 'rewind':
        this.#mistakes.rewind(step.by)
        return this.#noticeLater()
      case 'recreate':
        this.#mistakes.recreate()
        return this.#noticeLater()
      case 'copy-disk':
        return this.#copyDisk(nodes[step.from]!, nodes[step.to]!)
      case 'old-backup':
        return this.#oldBackup(nodes[step.node]!, step.forMs)
      case 'roll':
        return this.#roll(step)
      case 'upgrade':
        return this.#operator.upgrade(nodes[step.node]!)
      default:
        return step satisfies never
    }
  }

  /** All trouble ends. */
  mend(): void {
    const { network, log, nodes } = this.#scene
    this.#waiting.length = 0
    this.#isMended = true
    for (const undo of [...this.#undo]) undo()
    network.mend()
    log.mend()
    for (const { disk, running } of nodes) {
      disk.mend()
      running?.life.resume()
    }
  }

  /** What an operator does once all trouble has ended: start what is down, and replace what told its end. */
  lookAfter(): void {
    this.#operator.lookAfter()
    const { log, requests, permanent } = this.#scene
    // A write whose entry the log has lost is answered once another entry has that place.
    if (log.record.rewinds.length === 0 || requests.open.length === 0) return
    const writer = permanent.find(({ replica }) => replica?.state === 'in-sync')
    if (writer !== undefined) this.#write(writer, 1)
  }

  #copyDisk(from: SimulatedNode, to: SimulatedNode): void {
    if (from === to || !to.isDurable || !this.#mayLoseState(to)) return
    this.#mistakes.copyDisk(from, to)
    this.#noticeLater()
    if (!this.#scene.permanent.includes(to)) this.#for(COPY_LIVES_MS, () => this.#stop(to))
  }

  /** Another version of the program is installed, and started where one runs: it is newer, or older. */
  #roll({ node: n, to, killed, forMs }: Extract<Step, { do: 'roll' }>): void {
    const node = this.#scene.nodes[n]!
    if (!this.#mayInstall(node, to)) return
    node.install(to)
    if (node.running?.isStopping !== false || !this.#mayLoseState(node)) return
    if (killed) node.kill()
    else this.#stop(node)
    this.#restartAfter(forMs, node)
    // It may be one that does not speak what the group speaks.
    this.#noticeLater()
  }

  /** A version that does not speak what the group speaks is tried where all others are well. */
  #mayInstall(node: SimulatedNode, to: number): boolean {
    const { permanent, workload, history } = this.#scene
    const program = programsOf(workload)[to]!
    if (speaks({ speaks: spokenBy(program, program.machine()) }, history.group.spoken)) return true
    return permanent.every((other) => other === node || other.replica?.state === 'in-sync')
  }

  /** A file rots, and perhaps the process is started anew, which reads it. */
  #rot(node: SimulatedNode, forMs: number | undefined): void {
    const isRead = forMs !== undefined && node.running !== undefined && this.#mayLoseState(node)
    if (isRead) node.kill()
    node.disk.rot(isRead ? { under: CHECKPOINTS } : {})
    if (isRead) this.#restartAfter(forMs, node)
  }

  /** The operator sees in a while what the replicas tell. */
  #noticeLater(): void {
    this.#for(this.#chance.pick(NOTICED_MS), () => this.#operator.replaceHalted())
  }

  /** The disk of a machine is put back to what it holds now. */
  #oldBackup(node: SimulatedNode, forMs: number): void {
    if (!node.isDurable || node.running === undefined) return
    const backup = node.disk.snapshot()
    this.#for(forMs, () => {
      if (!this.#mayLoseState(node)) return
      node.kill()
      node.disk.restore(backup)
      node.start()
    })
  }

  /** What a step leaves open. It does not depend on which other steps there are. */
  #chanceOf(step: Step): Chance {
    return this.#scene.world.chance(`step/${step.atMs}`)
  }

  #write(node: SimulatedNode, count: number): void {
    const { running } = node
    if (running?.replica === undefined || running.isStopping) return
    const { workload, world, requests } = this.#scene
    const { life, machine, replica, submitted } = running
    const submit: Submit<unknown> = (command, options) => {
      submitted.push(command)
      return replica.submit(command, options)
    }
    for (let n = 0; n < count; n++) {
      const tag = `w${++this.#tags}`
      const chance = world.chance(`write/${tag}`)
      requests.ask(life, `write ${tag}`, () => workload.write({ machine, submit, chance, tag }))
    }
  }

  #ask(node: SimulatedNode, what: 'mark' | 'barrier' | 'prune'): void {
    const { replica, running } = node
    if (replica === undefined || running === undefined || running.isStopping) return
    const { requests, history } = this.#scene
    requests.ask(running.life, what, async () => {
      const { newest } = history
      if (what === 'prune') return await replica.prune({ keepEntries: 5 })
      if (what === 'mark') return await replica.mark()
      await replica.barrier()
      return { newest, position: replica.position } satisfies Passed
    })
  }

  #crash({ node: n, calls, power, forMs }: Extract<Step, { do: 'crash' }>): void {
    const node = this.#scene.nodes[n]!
    const { running } = node
    if (running === undefined || !this.#mayLoseState(node)) return
    if (power) running.life.onDeath(() => node.disk.powerLoss())
    if (calls === 0) node.kill()
    else running.life.killAtCall(calls)
    this.#for(forMs, () => {
      node.kill()
      node.start()
    })
  }

  #stop(node: SimulatedNode): void {
    const { running } = node
    if (running?.replica === undefined) return node.kill()
    if (running.isStopping) return
    this.#scene.requests.ask(running.life, 'stop', async () => await node.stop())
  }

  #restartAfter(forMs: number, node: SimulatedNode): void {
    this.#for(forMs, () => {
      node.kill()
      node.start()
    })
  }

  /**
   * The last one that has the state is spared where nothing else has it: that loss is not the group's fault.
   */
  #mayLoseState(node: SimulatedNode): boolean {
    const { nodes, log } = this.#scene
    if (log.record.first === 1) return true
    return nodes.some((other) => other !== node && other.replica?.state === 'in-sync')
  }

  /** Undo something after a while, or when all trouble ends. */
  #for(forMs: number, undo: () => void): void {
    const once = () => {
      if (!this.#undo.delete(once)) return
      undo()
    }
    this.#undo.add(once)
    this.#scene.world.schedule(forMs, once)
  }
}

/** A step in words, for the trace. */
function told({ atMs: _, during: __, ...step }: Step): string {
  return Object.values(step).join(' ')
}
