import type { Chance } from '../chance.ts'
import type { Program, Workload } from '../workload.ts'
import { encode, Stock, type StockCommand, type StockVersion } from './stock.ts'

/** Few, so that many writes meet at one article, and some amounts come back to 0. */
const ARTICLES = 12
/** Before this format the group's state knew nothing of versions. */
const FIRST_FORMAT = 1

const program = (version: StockVersion, format?: number): Program<Stock> => ({
  machine: () => new Stock(version),
  ...(format !== undefined && { format }),
})

/** It speaks version 1 no more: it cannot replay a log that begins with it. */
const forgetful: Program<Stock> = { machine: () => new Stock(3, 2) }

/**
 * A program that is replaced by newer versions of itself, one replica at a time, and sometimes by older ones. First
 * its version of Anchorage is another, and then its machine.
 */
export const versionsWorkload: Workload<Stock> = {
  name: 'versions',
  machine: () => new Stock(3),
  versions: [program(1, FIRST_FORMAT), program(1), program(2), forgetful, program(3)],
  chunkBytes: 64,
  write({ machine, submit, chance }) {
    return submit(encode(commandFor(machine.version, chance)))
  },
}

/** One that this version of the program knows. The group may speak an older one, in which it is malformed. */
function commandFor(version: StockVersion, chance: Chance): StockCommand {
  const article = () => `article-${chance.integer(0, ARTICLES - 1)}`
  const amount = chance.integer(-3, 3)
  const kind = chance.weighted({ add: 6, move: version >= 2 ? 3 : 0, reserve: version >= 3 ? 2 : 0 })
  return kind === 'move' ? [kind, article(), article(), amount] : [kind, article(), amount]
}
