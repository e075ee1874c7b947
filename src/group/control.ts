import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { CHUNK_BYTES_MAX, CHUNK_BYTES_MIN } from '../bounds.ts'
import type { Log } from '../log/log.ts'
import * as pb from './pb/group_pb.js'

/** The entries that Anchorage itself writes into a group's log, beside users' commands. */
export type Control =
  | {
      readonly type: 'claim'
      readonly term: number
      /**
       * The format of the group's state. A log's first claim decides on it; a later one is void if it names
       * another. Default 1.
       */
      readonly format?: number
    }
  | ({ readonly type: 'marker'; readonly term: number } & Marker)
  | { readonly type: 'attestation'; readonly anchor: number; readonly root: Uint8Array }
  | { readonly type: 'prune'; readonly term: number; readonly upTo: number }
  | { readonly type: 'tick'; readonly term: number }
  | ({ readonly type: 'upgrade'; readonly term: number } & Upgrade)
  | ({ readonly type: 'genesis' } & Genesis)
  | ({ readonly type: 'guarded' } & Guarded)

/** The group goes over to a newer version of its own format, of the machine, or of both. */
export interface Upgrade {
  readonly format: number
  /** The machine's signature until here. */
  readonly from: string
  /** The machine's signature from here on. */
  readonly to: string
}

/** The log begins with a snapshot of another log. */
export interface Genesis {
  readonly root: Uint8Array
  readonly format: number
  readonly signature: string
  /** Machine time, in whole milliseconds. */
  readonly timeMs: number
  /** The average size of the snapshot's chunks, in bytes; 0 where it is not known. */
  readonly chunkBytes: number
  /** Where the state comes from. */
  readonly source: { readonly group: string; readonly epoch: string; readonly index: number }
}

/** A command that is applied only under conditions. Otherwise it is a no-op. */
export interface Guarded {
  readonly command: Uint8Array
  /** A name of the write: of several with the same one, the first is applied. */
  readonly key?: Uint8Array
  /** Apply it only if no command after the entry at this index was applied. */
  readonly expect?: number
}

export interface Marker {
  /** The members whose attestations decide about the root. */
  readonly electorate: readonly string[]
  /** The replicas that asked for the snapshot. */
  readonly requesters: readonly string[]
  /** The average size of the snapshot's chunks, in bytes. */
  readonly chunkBytes: number
  /** Older anchors that no member uses. Every replica stops offering them. Default: none. */
  readonly retires?: readonly number[]
  /** The version of the machine in which the state is captured. Absent before format 2. */
  readonly signature?: string
}

/** Append a control entry. Resolves with its index. */
export async function appendControl(log: Pick<Log, 'append'>, control: Control): Promise<number> {
  return (await log.append([{ kind: 'control', payload: encodeControl(control) }])).first
}

export function encodeControl(control: Control): Uint8Array {
  return toBinary(pb.ControlSchema, create(pb.ControlSchema, { body: toBody(control) }))
}

function toBody(control: Control): pb.Control['body'] {
  switch (control.type) {
    case 'claim':
      return {
        case: 'claim',
        value: create(pb.ClaimSchema, { term: BigInt(control.term), format: control.format ?? 0 }),
      }
    case 'marker': {
      const { electorate, requesters, chunkBytes, retires = [], signature = '' } = control
      const fields = {
        term: BigInt(control.term),
        electorate: [...electorate],
        requesters: [...requesters],
        chunkBytes,
        retires: retires.map(BigInt),
        signature,
      }
      return { case: 'marker', value: create(pb.MarkerSchema, fields) }
    }
    case 'attestation': {
      const fields = { anchor: BigInt(control.anchor), root: control.root }
      return { case: 'attestation', value: create(pb.AttestationSchema, fields) }
    }
    case 'prune': {
      const fields = { term: BigInt(control.term), upTo: BigInt(control.upTo) }
      return { case: 'prune', value: create(pb.PruneSchema, fields) }
    }
    case 'tick':
      return { case: 'tick', value: create(pb.TickSchema, { term: BigInt(control.term) }) }
    case 'upgrade': {
      const { term, format, from, to } = control
      return { case: 'upgrade', value: create(pb.UpgradeSchema, { term: BigInt(term), format, from, to }) }
    }
    case 'genesis': {
      const { root, format, signature, timeMs, chunkBytes, source } = control
      const fields = {
        root,
        format,
        signature,
        timeMs: BigInt(timeMs),
        chunkBytes,
        sourceGroup: source.group,
        sourceEpoch: source.epoch,
        sourceIndex: BigInt(source.index),
      }
      return { case: 'genesis', value: create(pb.GenesisSchema, fields) }
    }
    case 'guarded': {
      const { command, key, expect } = control
      const fields = { command, ...(key && { key }), ...(expect !== undefined && { expect: BigInt(expect) }) }
      return { case: 'guarded', value: create(pb.GuardedSchema, fields) }
    }
    default:
      return control satisfies never
  }
}

/**
 * Returns undefined for bytes that are no control entry of this version. Such an entry is a no-op on every
 * replica.
 */
export function decodeControl(payload: Uint8Array): Control | undefined {
  let body: pb.Control['body']
  try {
    body = fromBinary(pb.ControlSchema, payload).body
  } catch {
    return undefined
  }
  switch (body.case) {
    case 'claim':
      return {
        type: 'claim',
        term: Number(body.value.term),
        ...(body.value.format > 0 && { format: body.value.format }),
      }
    case 'marker': {
      const { term, electorate, requesters, chunkBytes, retires, signature } = body.value
      if (chunkBytes < CHUNK_BYTES_MIN || chunkBytes > CHUNK_BYTES_MAX) return undefined
      const fields = {
        electorate,
        requesters,
        chunkBytes,
        ...(retires.length > 0 && { retires: retires.map(Number) }),
        ...(signature !== '' && { signature }),
      }
      return { type: 'marker', term: Number(term), ...fields }
    }
    case 'attestation':
      return { type: 'attestation', anchor: Number(body.value.anchor), root: body.value.root }
    case 'prune':
      return { type: 'prune', term: Number(body.value.term), upTo: Number(body.value.upTo) }
    case 'tick':
      return { type: 'tick', term: Number(body.value.term) }
    case 'upgrade': {
      const { term, format, from, to } = body.value
      return { type: 'upgrade', term: Number(term), format, from, to }
    }
    case 'genesis': {
      const { root, format, signature, timeMs, chunkBytes } = body.value
      const { sourceGroup, sourceEpoch, sourceIndex } = body.value
      const source = { group: sourceGroup, epoch: sourceEpoch, index: Number(sourceIndex) }
      return { type: 'genesis', root, format, signature, timeMs: Number(timeMs), chunkBytes, source }
    }
    case 'guarded': {
      const { command, key, expect } = body.value
      return {
        type: 'guarded',
        command,
        ...(key.length > 0 && { key }),
        ...(expect !== undefined && { expect: Number(expect) }),
      }
    }
    case undefined:
      return undefined
    default:
      return body satisfies never
  }
}
