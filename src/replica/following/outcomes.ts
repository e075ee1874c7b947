import type { Leadership } from '../../group/leadership.ts'
import type { Outcome } from '../../group/outcome.ts'
import type { LogEntry, LogTail } from '../../log/log.ts'
import type { Announcer } from '../membership/announcer.ts'
import type { Pruner } from '../membership/pruner.ts'
import type { Upgrader } from '../membership/upgrader.ts'
import type { Reporter } from '../reporter.ts'
import type { Anchors } from '../snapshots/anchors.ts'
import type { Divergences } from '../snapshots/divergences.ts'
import type { EntryListener } from './applier.ts'

export interface OutcomesInit {
  readonly epoch: string
  readonly leadership: Pick<Leadership, 'changed'>
  readonly announcer: Pick<Announcer, 'soon'>
  readonly anchors: Anchors
  readonly pruner: Pick<Pruner, 'decided' | 'voided'>
  readonly upgrader: Pick<Upgrader, 'look'>
  readonly divergences: Pick<Divergences, 'report'>
  readonly reporter: Pick<Reporter, 'emit'>
}

/**
 * What a control entry decided, it decided on every replica alike. Here is what this replica does about it.
 */
export class Outcomes implements EntryListener {
  readonly #init: OutcomesInit

  constructor(init: OutcomesInit) {
    this.#init = init
  }

  decided(outcome: Outcome, entry: LogEntry, newest: LogTail): void {
    const { epoch, leadership, announcer, anchors, pruner, upgrader, divergences, reporter } = this.#init
    switch (outcome.type) {
      case 'leader':
        leadership.changed()
        announcer.soon()
        upgrader.look()
        return reporter.emit('leader', { leader: outcome.leader, term: outcome.term })
      case 'marker':
        reporter.emit('marked', { anchor: { epoch, index: outcome.index } })
        anchors.retired(outcome.marker.retires ?? [])
        return anchors.marked(outcome.index, outcome.marker, newest)
      case 'sealed': {
        const { root, minority } = outcome
        const anchor = { epoch, index: outcome.anchor }
        anchors.sealed(anchor.index, root)
        reporter.emit('sealed', { anchor, root })
        for (const [replica, other] of minority) {
          divergences.report({ anchor, replica, root: other, sealed: root })
        }
        return
      }
      case 'disputed': {
        const { anchor: index, roots } = outcome
        anchors.disputed(index)
        return reporter.emit('disputed', { anchor: { epoch, index }, roots })
      }
      case 'diverged': {
        const { anchor: index, author: replica, root, sealed } = outcome
        return divergences.report({ anchor: { epoch, index }, replica, root, sealed })
      }
      case 'upgraded': {
        const { format, from, to } = outcome
        announcer.soon()
        upgrader.look()
        return reporter.emit('upgraded', { position: { epoch, index: entry.index }, format, from, to })
      }
      case 'genesis':
      case 'attested':
      case 'tick':
        return
      case 'prune':
        return void pruner.decided(entry.index, outcome.upTo)
      case 'void':
        pruner.voided(entry.index)
        return reporter.emit('skipped', { entry, why: outcome.why })
      default:
        return outcome satisfies never
    }
  }

  skipped(entry: LogEntry, error: Error): void {
    this.#init.reporter.emit('skipped', { entry, why: error.message })
  }
}
