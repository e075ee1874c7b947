import { type Busy, type NotLeader, WireError } from '../wire/errors.ts'
import type { PLAIN_ERRORS } from '../wire/messages.ts'
import { ProvenFault } from '../wire/proven-fault.ts'

/** What a session does about an error that a provider of an anchor answered, or caused. */
export interface RetryPolicy {
  /** Whether to ask the same provider for the same anchor again, after a rest. */
  readonly retry: boolean
  /** Whether to tell it as a fault: an honest replica does not answer so. */
  readonly fault: boolean
  /** Whether the peer counts as one that will not serve any anchor. */
  readonly refusal: boolean
}

type Sent = Busy | NotLeader | InstanceType<(typeof PLAIN_ERRORS)[keyof typeof PLAIN_ERRORS]>

/** By its name on the wire, for each error that a peer may answer. */
const ANSWERED: Readonly<Record<Sent['name'], RetryPolicy>> = {
  Busy: { retry: true, fault: false, refusal: false },
  /** An offer may expire. */
  Expired: { retry: false, fault: false, refusal: false },
  /** The peer may not have made the offer. */
  UnknownAnchor: { retry: false, fault: false, refusal: false },
  CutFailed: { retry: false, fault: true, refusal: true },
  Incompatible: { retry: false, fault: true, refusal: true },
  /** What the peer says of us. What it sends itself is a `ProvenFault`. */
  Malformed: { retry: false, fault: true, refusal: false },
  /** A provider that is late with the presence store does not know yet who is a member. */
  Unauthorized: { retry: true, fault: true, refusal: false },
  OutOfRange: { retry: true, fault: true, refusal: false },
  NotLeader: { retry: true, fault: true, refusal: false },
  Failed: { retry: true, fault: true, refusal: false },
}

/** There is proof that the peer is no honest replica. */
const PROVEN: RetryPolicy = { retry: false, fault: true, refusal: true }

/** The peer did not answer, its stream broke, or what it sent could not be used. */
const OTHERWISE: RetryPolicy = { retry: true, fault: true, refusal: false }

/** The whole policy: who is asked again, who is told of, and who is counted out. */
export function retryPolicy(error: Error): RetryPolicy {
  if (error instanceof ProvenFault) return PROVEN
  return error instanceof WireError ? ANSWERED[error.name as Sent['name']] : OTHERWISE
}
