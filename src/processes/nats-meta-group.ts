/** What a server says at `/jsz` of the group of servers that places streams. */
interface MetaGroup {
  /** The leader's name. Missing while there is none, or the server that was asked does not know it. */
  readonly leader?: string
  /** All servers but the leader. Only the leader tells of them. */
  readonly replicas?: readonly { readonly current: boolean; readonly offline?: boolean }[]
}

/** A server, and where it tells of itself. */
export interface Monitored {
  readonly name: string
  readonly monitorUrl: string
}

/** How long a server may take to answer, in milliseconds. One that is stopped (SIGSTOP) never does. */
const ANSWER_MS = 2_000

/** What a server answers at a path of its monitor. Rejects if it does not listen, or says nothing. */
export async function askMonitor({ monitorUrl }: Monitored, path: string): Promise<Response> {
  return await fetch(`${monitorUrl}${path}`, { signal: AbortSignal.timeout(ANSWER_MS) })
}

/**
 * Whether a new stream finds a place on all these servers: all know the same leader, and the leader knows that all
 * are there. A server's own health does not tell: the leader learns of it up to seconds later, and refuses
 * ("peer offline") until then.
 * @param upToDate whether each must have followed the leader to its newest decision, too
 */
export async function isWhole(servers: readonly Monitored[], upToDate: boolean): Promise<boolean> {
  const groups = await Promise.all(servers.map(metaGroup))
  const { leader } = groups[0] ?? {}
  if (!leader || groups.some((group) => group?.leader !== leader)) return false
  const { replicas = [] } = groups[servers.findIndex(({ name }) => name === leader)] ?? {}
  const isThere = replicas.every(({ current, offline }) => !offline && (current || !upToDate))
  return isThere && replicas.length === servers.length - 1
}

async function metaGroup(server: Monitored): Promise<MetaGroup | undefined> {
  try {
    const { meta_cluster } = (await (await askMonitor(server, '/jsz')).json()) as { meta_cluster?: MetaGroup }
    return meta_cluster
  } catch {
    // It does not listen yet.
    return undefined
  }
}
