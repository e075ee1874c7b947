import * as errors from '../error-classes.ts'
import { AnchorageError } from '../errors.ts'
import type { ErrorClass } from '../serialized-error.ts'
import * as own from './errors.ts'

/** Any class that a program of a test cluster may throw: what a test is given is of the same class. */
export const ERROR_CLASSES: readonly ErrorClass[] = [errors, own]
  .flatMap((family) => Object.values<ErrorClass>(family))
  .filter((Kind) => Kind !== AnchorageError)
