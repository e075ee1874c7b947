/**
 * For a state machine of one's own, `anchorage/machine`: the interface, the errors that it throws, and the codecs and
 * items that the ready-made ones use. `docs/machines.md` says what a machine must hold, and `checkMachine` of
 * `anchorage/testing` checks it.
 *
 * @packageDocumentation
 */

// The contract: what a replica calls, and what it gives.
export type {
  StateMachine,
  Command,
  CommandContext,
  Snapshot,
  Installation,
  Transaction,
  DurableState,
  Places,
  MachineHost,
  Submit,
  SubmitOptions,
  Written,
} from './machine.ts'
export type { Message, NewMessage } from '../message.ts'
export type { Position } from '../position.ts'

// What a machine throws, and what it answers to a command that it cannot obey.
export { MalformedCommand, MalformedQuestion } from './machine.ts'
export * from './errors.ts'

// The items of a snapshot, one by one or packed in runs.
export { Items } from './items.ts'
export { nextRunVersion, type Run, type RunGroup } from './run.ts'

// Keys and values as bytes.
export { bytesCodec, jsonCodec, stringCodec, type Codec, type Json } from './codec.ts'
export { numberCodec } from './number-codec.ts'
