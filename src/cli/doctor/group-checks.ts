import { packageVersion } from '../../package-version.ts'
import type { Announced } from '../facts/announced.ts'
import type { Heard } from '../facts/interviews.ts'
import { remedyFor } from '../facts/remedies.ts'
import { duration, shortId } from '../output.ts'
import { addressesOf, Case, namesOf } from '../why/case.ts'
import { causeOf } from '../why/causes.ts'
import { type Check, type Finding, fail, ok, warn } from './finding.ts'

/** More replicas than this that answer are told in a line. */
const TOLD_MAX = 8

/** Whether each member can be reached from here: TCP first, then the handshake as the right peer, then an answer. */
export const members: Check = {
  name: 'members',
  needs: 'replicas',
  async run(patient) {
    const [facts, heard, self] = [await patient.facts(), await patient.heard(), await patient.id()]
    if (facts === undefined) return []
    const others = facts.running.filter(({ id }) => id !== self)
    if (others.length === 0) return [ok('members', 'no other replica runs')]
    const asked = others.flatMap((member) => {
      const how = heard.get(member.id)
      return how === undefined ? [] : [{ member, how }]
    })
    if (asked.length === 0)
      return [
        warn(
          'members-unasked',
          'no replica could be asked: they answer members, and this command could not announce itself',
          'see what the log says to announcements, above',
        ),
      ]
    const shut = asked.filter(({ how }) => how.how === 'shut')
    if (shut.length > 0 && shut.length === asked.length)
      return [
        allShut(
          shut.map(({ member }) => member),
          patient.networkKey !== undefined,
        ),
      ]
    const findings = asked.map(({ member, how }) => found(member, how, patient.networkKey !== undefined))
    const well = findings.filter(({ level }) => level === 'ok')
    if (well.length <= TOLD_MAX) return findings
    return [
      ok('members', `${well.length} replicas answer`),
      ...findings.filter(({ level }) => level !== 'ok'),
    ]
  },
}

function found(member: Announced, heard: Heard, hasKey: boolean): Finding {
  const name = shortId(member.id)
  switch (heard.how) {
    case 'told': {
      const way = heard.tries.find(({ connects }) => connects)
      const tcp = way === undefined ? '' : `; TCP takes ${duration(way.tookMs)}`
      return ok('member', `${name} answers in ${duration(heard.tookMs)}${tcp}`)
    }
    case 'refused':
      return warn(
        'member-refuses',
        `${name} is reached, and answers ${heard.error.name}: ${heard.error.message}`,
        'look at "authorize" and at the group and machine of that replica',
      )
    case 'shut':
      return fail(
        'member-handshake',
        `${name} accepts the connection, and no handshake comes about (${addressesOf(heard, member)}): ${heard.error.message}`,
        hasKey
          ? 'compare the keys of both ("anchorage network-key FILE show" tells their names); if they are the same, look at what listens at that address'
          : 'give the --network-key of the group; if it has none, look at what listens at that address',
      )
    case 'unreachable':
      return fail(
        'member-unreachable',
        `${name} cannot be reached: ${addressesOf(heard, member)}`,
        'look at --listen and --announce of that replica, at its firewall, and at the route between the two machines',
      )
    default:
      return heard satisfies never
  }
}

function allShut(shut: readonly Announced[], hasKey: boolean): Finding {
  return fail(
    'network-key',
    `no handshake with ${namesOf(shut)} comes about, though they accept connections: ${hasKey ? 'this --network-key is not that of the group; or other programs listen there' : 'the group has a network key, and none was given here'}`,
    hasKey
      ? 'copy the file of --network-key from a replica that is in sync, with mode 0600, and restart'
      : 'give the --network-key of the group',
  )
}

/** Releases of Anchorage, and formats of the group's state. */
export const versions: Check = {
  name: 'versions',
  needs: 'log',
  async run(patient) {
    const facts = await patient.facts()
    if (facts === undefined || facts.running.length === 0) return []
    const own = packageVersion()
    const others = facts.running.filter(({ version }) => version !== undefined && version !== own)
    const deaf = facts.running.filter((one) => !facts.speaks(one))
    const findings: Finding[] = deaf.map((one) =>
      fail(
        'other-signature',
        `${shortId(one.id)} does not speak ${JSON.stringify(facts.signature)}, which the group does`,
        remedyFor('UPGRADE_REQUIRED')!,
      ),
    )
    if (others.length === 0)
      return [...findings, ok('versions', `anchorage ${own} here, and no replica tells another version`)]
    const theirs = [...new Set(others.map(({ version }) => version))].join(', ')
    return [
      ...findings,
      warn(
        'versions',
        `anchorage ${own} here, and ${namesOf(others)} run ${theirs}`,
        'nothing while you upgrade one after the other; otherwise install the same version everywhere',
      ),
    ]
  },
}

/** What is announced of the group, and of this replica if it runs. */
export const group: Check = {
  name: 'group',
  needs: 'replicas',
  async run(patient) {
    const [facts, heard, self] = [await patient.facts(), await patient.heard(), await patient.id()]
    if (facts === undefined) return []
    const findings: Finding[] = facts.running
      .filter(({ contested }) => contested)
      .map(({ id }) =>
        fail(
          'contested',
          `two processes run with the identity of ${shortId(id)}`,
          remedyFor('IDENTITY_IN_USE')!,
        ),
      )
    if (facts.running.length === 0)
      findings.push(
        warn(
          'nobody-runs',
          'no replica of this group announces itself in this log',
          'start one; if one runs, compare its --log and --group with those given here',
        ),
      )
    else if (facts.leader === undefined)
      findings.push(
        fail(
          'no-leader',
          'no replica leads',
          'wait for an election, a lease and a few seconds; then start one without --reader, or see "anchorage why"',
        ),
      )
    else
      findings.push(ok('leader', `${shortId(facts.leader.id)} leads; ${facts.running.length} replicas run`))
    const member = facts.running.find(({ id }) => id === self)
    if (member === undefined || member.contested === true) return findings
    if (member.state === 'in-sync') return [...findings, ok('state', 'this replica is in sync')]
    const { code, why, remedy } = causeOf(new Case({ facts, member, heard }))
    const isOnItsWay = ['catching-up', 'following', 'starting'].includes(code)
    return [...findings, (isOnItsWay ? warn : fail)(code, `this replica is ${member.state}: ${why}`, remedy)]
  },
}
