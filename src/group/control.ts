import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { CHUNK_BYTES_MAX, CHUNK_BYTES_MIN } from '../bounds.ts'
import type { Log } from '../log/log.ts'
import * as pb from './pb/group_pb.js'

/** The entries that Anchorage itself writes into a group's log, beside users' commands. */
export type Control =
  | { readonly type: 'claim'; readonly term: number }
  | ({ readonly type: 'marker'; readonly term: number } & Marker)
  | { readonly type: 'attestation'; readonly anchor: number; readonly root: Uint8Array }
  | { readonly type: 'prune'; readonly term: number; readonly upTo: number }
  | { readonly type: 'tick'; readonly term: number }

export interface Marker {
  /** The members whose attestations decide about the root. */
  readonly electorate: readonly string[]
  /** The replicas that asked for the snapshot. */
  readonly requesters: readonly string[]
  /** The average size of the snapshot's chunks, in bytes. */
  readonly chunkBytes: number
  /** Older anchors that no member uses. Every replica stops offering them. Default: none. */
  readonly retires?: readonly number[]
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
      return { case: 'claim', value: create(pb.ClaimSchema, { term: BigInt(control.term) }) }
    case 'marker': {
      const { electorate, requesters, chunkBytes, retires = [] } = control
      const fields = {
        term: BigInt(control.term),
        electorate: [...electorate],
        requesters: [...requesters],
        chunkBytes,
        retires: retires.map(BigInt),
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
      return { type: 'claim', term: Number(body.value.term) }
    case 'marker': {
      const { term, electorate, requesters, chunkBytes, retires } = body.value
      if (chunkBytes < CHUNK_BYTES_MIN || chunkBytes > CHUNK_BYTES_MAX) return undefined
      const fields = {
        electorate,
        requesters,
        chunkBytes,
        ...(retires.length > 0 && { retires: retires.map(Number) }),
      }
      return { type: 'marker', term: Number(term), ...fields }
    }
    case 'attestation':
      return { type: 'attestation', anchor: Number(body.value.anchor), root: body.value.root }
    case 'prune':
      return { type: 'prune', term: Number(body.value.term), upTo: Number(body.value.upTo) }
    case 'tick':
      return { type: 'tick', term: Number(body.value.term) }
    case undefined:
      return undefined
    default:
      return body satisfies never
  }
}
