/**
 * The entry point `anchorage/expiry`: leases, and the clocks they go by. `anchorage/leases` is the same under
 * its newer name.
 */
export * from './leases/index.ts'
