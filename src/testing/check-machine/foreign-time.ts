/** How far another machine's clocks are off: more than a year, and no whole number of hours. */
const OFF_MS = 400 * 86_400_000 + 12_345_678

/**
 * Runs synchronous calls as they run on another machine: `Date` and `performance.now` tell another time. So a
 * machine that asks for the time shows it, although both instances run within the same second.
 */
export function inForeignTime<T>(work: () => T): T {
  const { Date: OwnDate } = globalThis
  const ownNow = performance.now
  const wallNow = () => OwnDate.now() + OFF_MS
  globalThis.Date = new Proxy(OwnDate, {
    construct: (target, parameters, newTarget) =>
      Reflect.construct(target, parameters.length === 0 ? [wallNow()] : parameters, newTarget),
    apply: () => new OwnDate(wallNow()).toString(),
    get: (target, key) => (key === 'now' ? wallNow : Reflect.get(target, key)),
  })
  performance.now = () => ownNow.call(performance) + OFF_MS
  try {
    return work()
  } finally {
    globalThis.Date = OwnDate
    performance.now = ownNow
  }
}
