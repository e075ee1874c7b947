import type { CatchUpProgress } from '../../group/catch-up-progress.ts'
import type { Member } from '../../group/member.ts'
import { SilentMembers } from '../../group/silent-members.ts'
import type { Log } from '../../log/log.ts'
import { Sightings } from '../../log/presence.ts'
import { TimeLeft } from '../../observe/time-left.ts'
import { systemClock } from '../../time/clock.ts'
import type { Context } from '../context.ts'
import { announcedIn } from '../facts/announced.ts'

/** What the log and the announcements in it say at one moment. */
export type Seen = Awaited<ReturnType<GroupLook['look']>>
export type SeenMember = Seen['members'][number]
export type SeenSilent = Seen['silent'][number]
export type SeenCatchUp = Seen['catchUps'][number]

/** Looks at a group, now and again: at the log, and at what is announced in it. Nobody is asked. */
export class GroupLook {
  readonly #log: Log
  readonly #context: Pick<Context, 'log' | 'group' | 'signal'>
  readonly #sightings = new Sightings()
  readonly #silent = new SilentMembers(systemClock)
  readonly #timeLeft = new TimeLeft()

  constructor(log: Log, context: Pick<Context, 'log' | 'group' | 'signal'>) {
    this.#log = log
    this.#context = context
  }

  async look() {
    const { log, group, signal } = this.#context
    // The presences first: nobody can then have applied more than the log holds.
    const announced = await announcedIn(this.#log, { sightings: this.#sightings, signal })
    const nowMs = systemClock.now()
    const { epoch, first, newest } = await this.#log.bounds({ signal })
    const all = announced.filter((one) => one.epoch === epoch)
    const fresh = all.filter((one) => one.isFresh)
    // What has expired may still be there: of whoever was killed before this process began to look.
    this.#silent.look(
      fresh,
      all.filter((one) => !one.isFresh),
    )
    const term = Math.max(0, ...fresh.map(({ leads }) => leads))
    return {
      log: log.name,
      group,
      epoch,
      first,
      newest,
      leader: term > 0 ? fresh.find(({ leads }) => leads === term)!.id : null,
      term,
      members: fresh.map((member) => seen(member, newest.index, nowMs)),
      silent: this.#silent.list.map((member) => {
        const { id, state, applied, checkpoint, version, signature, addresses, tookLeave } = member
        const said = { id, state, position: applied, checkpoint, ...named({ version, signature }), addresses }
        const { announcedAtMs, silentSinceMs } = member
        return {
          ...said,
          announcedMsAgo: nowMs - announcedAtMs,
          silentMsAgo: nowMs - silentSinceMs,
          tookLeave,
        }
      }),
      catchUps: this.#catchUps(fresh),
    }
  }

  #catchUps(members: readonly Member[]) {
    const running = members.flatMap(({ id: member, catchUp }) => {
      return catchUp === undefined
        ? []
        : [{ member, ...catchUp, cells: Buffer.from(catchUp.cells).toString('hex') }]
    })
    return this.#timeLeft.of(running).map((catchUp) => {
      const bytesPerSecond = catchUp.providers.reduce((sum, provider) => sum + provider.bytesPerSecond, 0)
      return { ...catchUp, bytesPerSecond, leftMs: catchUp.leftMs ?? leftOnAverage(catchUp) }
    })
  }
}

function seen(member: Member, newest: number, nowMs: number) {
  const { id, state, applied, leads, needs, addresses, contested, version, signature } = member
  const { checkpoint, durable = false, format = 1, process = '', networkKeys = [], announcedAtMs } = member
  const ageMs = nowMs - announcedAtMs
  const offers = member.offers.map(({ anchor, ready, remainingMs }) => {
    return { anchor, ready, remainingMs: Math.max(0, Math.round(remainingMs - ageMs)) }
  })
  const stands = {
    id,
    state,
    position: applied,
    lag: newest - applied,
    leads,
    needs,
    contested: contested === true,
  }
  const speaks = { ...named({ version, signature }), format }
  const kept = { checkpoint, durable, process }
  return { ...stands, ...speaks, ...kept, addresses, networkKeys, offers, announcedMsAgo: ageMs }
}

function named(of: { readonly version: string | undefined; readonly signature: string | undefined }) {
  return { version: of.version ?? null, signature: of.signature ?? null }
}

/** Before there are two looks to tell how fast it goes. Null: it cannot be told. */
function leftOnAverage({
  phase,
  elapsedMs,
  bytes,
  bytesTotal,
}: Pick<CatchUpProgress, 'phase' | 'elapsedMs' | 'bytes' | 'bytesTotal'>): number | null {
  if (phase !== 'fetching' || bytes === 0) return null
  return Math.round(((bytesTotal - bytes) / bytes) * elapsedMs)
}
