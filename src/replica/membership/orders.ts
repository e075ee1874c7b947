import type { Order } from '../../sync/host.ts'
import { Failed } from '../../sync/wire/errors.ts'
import type { Pruner } from './pruner.ts'

export interface OrdersInit {
  readonly pruner: Pick<Pruner, 'prune'>
}

/** What an operator has a leader do, from another process that is a member for a moment. */
export class Orders {
  readonly #init: OrdersInit

  constructor(init: OrdersInit) {
    this.#init = init
  }

  /**
   * Resolves with the entry up to which the log is pruned, or 0. Rejects with `NotLeader` where this replica does
   * not lead, and with what `Replica.prune` rejects with.
   */
  async obey(order: Order): Promise<number> {
    switch (order.type) {
      case 'prune':
        return await this.#init.pruner.prune(order.keepEntries)
      case 'upgrade':
        throw new Failed('this release cannot be told to upgrade')
      default:
        return order satisfies never
    }
  }
}
