import type { StateMachine, Submit, Written } from '../../machine/machine.ts'
import type { Chance } from './chance.ts'
import type { Model } from './oracle/model.ts'
import { ReplayModel } from './oracle/replay-model.ts'
import type { PlanOptions } from './plan.ts'

/** What a write has at hand. */
export interface Writing<M extends StateMachine> {
  /** The machine of the replica that writes. Reading it may throw `NotReadable`. */
  readonly machine: M
  /** Appends a command, for machines without methods that write. */
  readonly submit: Submit<unknown>
  /** Random numbers of this write's own. */
  readonly chance: Chance
  /** A text that no other write of the run has, for values that can be told apart. */
  readonly tag: string
}

/** One version of a program that replicates. */
export interface Program<M extends StateMachine = StateMachine> {
  /** A machine for one life of a replica of this version. */
  machine(): M
  /** The newest format of the group's state that it speaks: its own version of Anchorage. Default: the newest. */
  readonly format?: number
}

/** What is replicated in a run, and who writes what to it. */
export interface Workload<M extends StateMachine = StateMachine> {
  /** Names it in reports and on the command line. */
  readonly name: string
  /** A machine for one life of a replica. */
  machine(): M
  /**
   * Versions of the program, the oldest first: a run begins with some, and replicas go over to others. The last one's
   * machine is that of `machine`. Default: there is only one.
   */
  readonly versions?: readonly Program<M>[]
  /** One write by one replica. Resolves when it is applied there, with what `submit` gives. */
  write(writing: Writing<M>): Promise<Written<unknown>>
  /**
   * What says what the machine must hold after the log's commands. Default: a fresh machine that applies all
   * of them. It finds everything but mistakes in `apply` itself.
   */
  model?(): Model<M>
  /** How its runs differ from others: more steps, a slower network. */
  readonly plan?: PlanOptions
  /** Average size of chunks, in bytes. Default 1,024. */
  readonly chunkBytes?: number
  /** Writes before the trouble begins. Default 20. */
  readonly filled?: number
}

/** The versions of its program, the oldest first. */
export function programsOf<M extends StateMachine>(workload: Workload<M>): readonly Program<M>[] {
  return workload.versions ?? [workload]
}

/** What says what a machine of this workload must hold. */
export function modelOf<M extends StateMachine>(workload: Workload<M>): Model<M> {
  return workload.model?.() ?? new ReplayModel(workload.machine())
}
