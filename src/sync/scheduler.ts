/** What the scheduler knows of a provider. */
export interface ProviderLoad {
  readonly id: string
  /** The leader has the group's writes to order: followers are asked first. */
  readonly leads: boolean
  /** Chunks asked of it and not received. */
  readonly inFlight: number
  /** Times it failed this session. */
  readonly failures: number
}

/** Chunks to ask of one provider with one request. */
export interface Assignment {
  readonly provider: string
  readonly first: number
  readonly count: number
}

export interface ScheduleLimits {
  /** Most chunks in flight with one provider. */
  readonly windowChunks: number
  /** Most chunks in one request. */
  readonly rangeChunks: number
}

/**
 * Whom to ask for what, as a pure function of what is known: the lowest wanted chunks first, from providers that
 * failed least, followers before the leader, the least loaded first. The leader is asked only for what
 * the followers' windows have no room for.
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
  const fairShare = Math.max(1, Math.ceil(wanted.length / Math.max(1, loads.length)))
  let at = 0
  while (at < wanted.length) {
    const free = loads.filter((load) => load.inFlight < limits.windowChunks).sort(byPreference)
    const chosen = free[0]
    if (chosen === undefined) break
    const most = Math.min(limits.rangeChunks, limits.windowChunks - chosen.inFlight, fairShare)
    const first = wanted[at]!
    let count = 1
    while (count < most && wanted[at + count] === first + count) count++
    assignments.push({ provider: chosen.id, first, count })
    chosen.inFlight += count
    at += count
  }
  return assignments
}

function byPreference(a: ProviderLoad, b: ProviderLoad): number {
  return a.failures - b.failures || Number(a.leads) - Number(b.leads) || a.inFlight - b.inFlight
}
