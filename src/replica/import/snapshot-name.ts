import type { Genesis } from '../../group/control.ts'
import { formatPosition } from '../../position.ts'

/** For people: which snapshot a log begins with. */
export function snapshotOf({ source }: Pick<Genesis, 'source'>): string {
  return `a snapshot of the group ${JSON.stringify(source.group)} at ${formatPosition(source)}`
}
