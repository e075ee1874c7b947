/**
 * Runs a whole group in one process, from a seed: real replicas on a simulated network, disks, clocks and
 * log. `simulate.ts` is the entrance: it draws a plan from the seed (`plan.ts`), and a `Run` does it to a
 * `Scene`.
 */
export type { Chance } from './chance.ts'
export type { Model } from './oracle/model.ts'
export type { Plan, PlanOptions, Settings, Step, Trouble } from './plan.ts'
export type { Failure, Join } from './run.ts'
export { type SimulateInit, SimulationFailed, type SimulationReport, simulate } from './simulate.ts'
export type { Note } from './trace.ts'
export type { Program, Workload, Writing } from './workload.ts'
