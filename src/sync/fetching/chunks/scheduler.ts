/** What the scheduler knows of a provider. */
export interface ProviderLoad {
  readonly id: string
  /** The leader has the group's writes to order: followers are asked first. */
  readonly leads: boolean
  /**
   * Chunks it has told of: it is asked for no other. What another one lists there may be a lie that it knows
   * nothing of.
   */
  readonly listed: number
  /** Chunks asked of it and not received, and how many these may be. */
  readonly inFlight: number
  readonly window: number
  /** Times it failed at this anchor, less what it made up for. */
  readonly failures: number
}

/** Chunks to ask of one provider with one request. */
export interface Assignment {
  readonly provider: string
  readonly first: number
  readonly count: number
}

export interface ScheduleLimits {
  /** Most chunks in one request. */
  readonly rangeChunks: number
}

/**
 * Which provider to ask for which chunks, as a pure function of what is known. The lowest wanted chunks come
 * first. Providers that failed least are asked first, then followers before the leader, then the least
 * loaded. So the leader is asked only for what the followers' windows have no room for.
 *
 * @param wanted indexes of the chunks nobody was asked for, ascending
 */
export function schedule(
  wanted: readonly number[],
  providers: readonly ProviderLoad[],
  limits: ScheduleLimits,
): Assignment[] {
  const assignments: Assignment[] = []
  const loads = providers.map((provider) => ({ ...provider }))
  // Few chunks are still spread over all who can send.
  const able = loads.filter(({ listed }) => listed > (wanted[0] ?? 0))
  const fairShare = Math.max(1, Math.ceil(wanted.length / Math.max(1, able.length)))
  let at = 0
  while (at < wanted.length) {
    const first = wanted[at]!
    const chosen = mostPreferred(loads, first)
    // Nobody has told of this chunk, and so nobody of one further on.
    if (chosen === undefined) break
    const room = Math.min(chosen.window - chosen.inFlight, chosen.listed - first)
    const most = Math.min(limits.rangeChunks, room, fairShare)
    let count = 1
    while (count < most && wanted[at + count] === first + count) count++
    assignments.push({ provider: chosen.id, first, count })
    chosen.inFlight += count
    at += count
  }
  return assignments
}

/** A chunk that is late, and the provider that owes it. */
export interface LateChunk {
  readonly index: number
  readonly provider: string
}

/**
 * Which provider to ask for a late chunk as well, the lowest chunk first: one that owes nothing. This is the
 * end game of BitTorrent (BEP 3), for any chunk that holds others back; hedged requests in "The Tail at
 * Scale" (Dean and Barroso, 2013).
 */
export function hedge(late: readonly LateChunk[], providers: readonly ProviderLoad[]): Assignment[] {
  const assignments: Assignment[] = []
  const loads = providers.map((provider) => ({ ...provider }))
  for (const { index, provider } of late) {
    // A provider that still has something due would only send it after that: too late to be worth the bytes.
    const others = loads.filter(({ id, inFlight }) => id !== provider && inFlight === 0)
    const chosen = mostPreferred(others, index)
    if (chosen === undefined) continue
    assignments.push({ provider: chosen.id, first: index, count: 1 })
    chosen.inFlight++
  }
  return assignments
}

function mostPreferred<Load extends ProviderLoad>(loads: readonly Load[], index: number): Load | undefined {
  return loads
    .filter(({ inFlight, window, listed }) => inFlight < window && listed > index)
    .sort(byPreference)[0]
}

function byPreference(a: ProviderLoad, b: ProviderLoad): number {
  return a.failures - b.failures || Number(a.leads) - Number(b.leads) || a.inFlight - b.inFlight
}
