import { addressesOf, type Case, type Cause, namesOf } from './case.ts'

const COMPARE_KEYS =
  'compare the keys of both ("anchorage network-key FILE show" tells their names); copy the right file there with mode 0600, and restart it'

/** It announces itself, and breaks off every handshake, or all others break off its own. */
export function otherNetworkKey(one: Case): Cause | undefined {
  const heard = one.heardOf(one.member)
  if (one.isTroubledBy('HANDSHAKE_FAILED')) {
    return {
      code: 'network-key',
      why: `its handshakes are broken off: ${one.trouble!.message}`,
      remedy: COMPARE_KEYS,
    }
  }
  if (heard?.how !== 'shut') return undefined
  const where = addressesOf(heard, one.member)
  if (one.answering.length > 0) {
    return {
      code: 'network-key',
      why: `it announces itself, but no handshake with it comes about (${where}), while ${namesOf(one.answering.map((id) => ({ id })))} answered this command: it has another network key than they, or none; or another program listens at its address`,
      remedy: COMPARE_KEYS,
    }
  }
  return {
    code: 'network-key-here',
    why: `no handshake with any replica comes about from here (${where}): this command has another network key than the group, or none`,
    remedy: 'give this command the --network-key of the group, and ask again',
  }
}

/** Who leads, or all who have the state, cannot be reached. */
export function providersOutOfReach(one: Case): Cause | undefined {
  const { holders, facts, needsSnapshot } = one
  if (!needsSnapshot || holders.length === 0) return undefined
  const deaf = one.deafAmong(holders)
  const { leader } = facts
  const leads = deaf.find(({ id }) => id === leader?.id)
  if (leads === undefined && deaf.length < holders.length) return undefined
  const which = leads === undefined ? deaf : [leads]
  const where = which.map((member) => addressesOf(one.heardOf(member), member)).join('; ')
  return {
    code: 'provider-out-of-reach',
    why: `it needs a snapshot, and ${leads === undefined ? 'nobody who has one can be reached' : `the leader, ${namesOf(which)}, who names the anchor of each, cannot be reached`} where it says that it listens, seen from here: ${where}`,
    remedy: `have ${namesOf(which)} announce an address that the others reach (--listen and --announce of "anchorage node"), or open the port in the firewall; docs/operations.md#addresses`,
  }
}

/** It was refused by others, or they do not answer it, although they answer this command. */
export function unserved(one: Case): Cause | undefined {
  if (!one.isTroubledBy('NO_PROVIDER', 'PEER_UNAVAILABLE') || one.member.state === 'lost') return undefined
  const { message } = one.trouble!
  return {
    code: 'unserved',
    why: `members have the state, and none has served it: ${message}`,
    remedy: one.isTroubledBy('UNAUTHORIZED')
      ? 'look at "authorize" of those that refuse it, and at the names of the groups'
      : 'if they answer this command, the network between it and them is the cause: run "anchorage doctor" where it runs, with its flags',
  }
}

/** It cannot be asked, and nothing else is known. */
export function outOfReach(one: Case): Cause | undefined {
  const heard = one.heardOf(one.member)
  if (heard?.how !== 'unreachable') return undefined
  return {
    code: 'out-of-reach',
    why: `it announces itself, and cannot be asked where it says that it listens: ${addressesOf(heard, one.member)}. It can catch up all the same, and serves nobody`,
    remedy:
      'give it --listen and --announce with an address that the others reach; its own output, and "anchorage doctor" where it runs, say what else keeps it',
  }
}
