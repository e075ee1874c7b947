const US_PER_MS = 1_000

/**
 * Processor time of this process, in milliseconds, with that of V8's helper threads. Unlike time that passes,
 * it does not grow when other processes use the machine.
 */
export class CpuTime {
  #us = 0

  get ms(): number {
    return this.#us / US_PER_MS
  }

  /** Do some work. Its time is added. */
  measure<T>(work: () => T): T {
    const before = process.cpuUsage()
    const result = work()
    this.#add(before)
    return result
  }

  async measureAsync<T>(work: () => Promise<T>): Promise<T> {
    const before = process.cpuUsage()
    const result = await work()
    this.#add(before)
    return result
  }

  #add(before: NodeJS.CpuUsage): void {
    const { user, system } = process.cpuUsage(before)
    this.#us += user + system
  }
}
