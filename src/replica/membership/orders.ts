import type { PruneOutlook } from '../../group/pruning.ts'
import type { Order } from '../../sync/host.ts'
import type { Pruner } from './pruner.ts'
import type { Upgrader } from './upgrader.ts'

export interface OrdersInit {
  readonly pruner: Pick<Pruner, 'prune' | 'outlook'>
  readonly upgrader: Pick<Upgrader, 'upgrade'>
}

/** What an operator has a leader do, from another process that is a member for a moment. */
export class Orders {
  readonly #init: OrdersInit

  constructor(init: OrdersInit) {
    this.#init = init
  }

  /** What would come of an order to prune. */
  get pruneOutlook(): PruneOutlook {
    return this.#init.pruner.outlook
  }

  /**
   * Resolves with the entry up to which the log is pruned, or 0, or with the entry from which on the group
   * speaks the version. Rejects with `NotLeader` where this replica does not lead, and as `Replica.prune` and
   * `Replica.upgrade` do.
   */
  async obey(order: Order): Promise<number> {
    switch (order.type) {
      case 'prune':
        return await this.#init.pruner.prune(order.keepEntries)
      case 'upgrade':
        return (await this.#init.upgrader.upgrade(order.to === '' ? {} : { to: order.to })).index
      default:
        return order satisfies never
    }
  }
}
