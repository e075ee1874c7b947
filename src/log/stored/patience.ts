import { LogUnavailable } from '../errors.ts'

/** Undefined if the log's servers do not answer. */
export async function unlessUnavailable<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (error instanceof LogUnavailable) return undefined
    throw error
  }
}
