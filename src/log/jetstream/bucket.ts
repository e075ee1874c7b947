import { JetStreamApiCodes, type JetStreamManager } from '@nats-io/jetstream'
import { type KV, Kvm } from '@nats-io/kv'
import type { SignalOptions } from '../log.ts'
import { codeOf, type Link } from './link.ts'
import { streamInfo } from './stream.ts'

/** JetStream's code for a stream that would take messages of another one. */
const OVERLAP = 10_065

/** A key-value bucket, as `open` finds or makes it. Resolves when its servers have made it. */
export async function openBucket(
  link: Link,
  name: string,
  open: (kvm: Kvm) => Promise<KV>,
  options?: SignalOptions,
): Promise<KV> {
  return await link.ask(async (jsm) => {
    const kvm = new Kvm(jsm.jetstream())
    const kv = await open(kvm).catch(async (error) => {
      // 2.9.10 says so of the bucket itself while another process makes it.
      if (codeOf(error) !== OVERLAP || !(await isThere(jsm, name))) throw error
      return await open(kvm)
    })
    // The client resolves at once if another process makes the bucket.
    await streamInfo(jsm, streamOf(name))
    return kv
  }, options)
}

/** The stream that keeps a bucket. */
export function streamOf(bucket: string): string {
  return `KV_${bucket}`
}

/** Rejects with `LogUnavailable` while the bucket is being made. */
async function isThere(jsm: JetStreamManager, name: string): Promise<boolean> {
  try {
    await streamInfo(jsm, streamOf(name))
    return true
  } catch (error) {
    if (codeOf(error) !== JetStreamApiCodes.StreamNotFound) throw error
    return false
  }
}
