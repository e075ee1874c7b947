import * as checkpoint from '../checkpoint/errors.ts'
import * as group from '../group/errors.ts'
import { PruneRefused } from '../group/pruning.ts'
import * as leases from '../leases/errors.ts'
import * as log from '../log/errors.ts'
import * as machine from '../machine/errors.ts'
import { MalformedCommand, MalformedQuestion } from '../machine/machine.ts'
import * as compose from '../machines/compose/errors.ts'
import * as list from '../machines/list/errors.ts'
import * as projection from '../machines/projection/errors.ts'
import * as sqlite from '../machines/sqlite/errors.ts'
import * as replica from '../replica/errors.ts'
import * as imports from '../replica/import/errors.ts'
import type { ErrorClass } from '../serialized-error.ts'
import * as snapshot from '../snapshot/errors.ts'
import * as sync from '../sync/errors.ts'
import * as wire from '../sync/wire/errors.ts'
import { ThrownValue } from '../thrown.ts'
import { TickerStopped } from '../time/ticker.ts'
import * as own from './errors.ts'

/** Any class that a program of a test cluster may throw: what a test is given is of the same class. */
export const ERROR_CLASSES: readonly ErrorClass[] = [
  ...[
    checkpoint,
    compose,
    group,
    imports,
    leases,
    list,
    projection,
    log,
    machine,
    replica,
    snapshot,
    sqlite,
    sync,
    wire,
    own,
  ].flatMap((family) => Object.values<ErrorClass>(family)),
  MalformedCommand,
  MalformedQuestion,
  PruneRefused,
  ThrownValue,
  TickerStopped,
]
