import { type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, headers, type NatsConnection } from '@nats-io/transport-node'
import { jetstreamLog } from '../../src/log/jetstream.ts'
import type { NewMessage } from '../../src/message.ts'
import type { NatsServers } from '../../src/processes/nats-servers.ts'
import type { LogHarness } from '../../src/testing/log/harness.ts'
import { clear, natsPlace } from './nats.ts'

/** Others, who own a stream and write to it, and know nothing of Anchorage. */
export class Others implements AsyncDisposable {
  readonly nc: NatsConnection
  readonly jsm: JetStreamManager

  static async at(
    nats: NatsServers,
    who: { readonly user?: string; readonly pass?: string } = {},
  ): Promise<Others> {
    const nc = await connect({ servers: nats.urls, maxReconnectAttempts: -1, reconnectTimeWait: 50, ...who })
    return new Others(nc, await jetstreamManager(nc))
  }

  private constructor(nc: NatsConnection, jsm: JetStreamManager) {
    this.nc = nc
    this.jsm = jsm
  }

  /** Returns the sequence number. */
  async publish({ subject, headers: given = {} }: NewMessage, payload: Uint8Array | string): Promise<number> {
    const header = headers()
    for (const [name, values] of Object.entries(given)) {
      for (const value of [values].flat()) header.append(name, value)
    }
    const { seq } = await jetstream(this.nc).publish(subject, payload, { headers: header })
    return seq
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.nc.close()
  }
}

/**
 * For the conformance suite, on a stream of others.
 *
 * @param older how many messages the stream has that are no entries of the log
 */
export function foreignHarness(nats: () => NatsServers, replicas: 1 | 3, { older = 0 } = {}): LogHarness {
  const init = {
    from: older + 1,
    control: 'orders.anchorage',
    stream: 'ORDERS',
    prune: true,
    // An append to a stream that was made anew fails if it comes two polls after the last look. A server on this
    // machine makes one anew within 14 ms.
    pollMs: 2,
  }
  return {
    messages: { subject: 'orders.new' },
    async make() {
      const place = await natsPlace(nats(), {
        backend: (options) => jetstreamLog({ ...options, ...init }),
        async empty() {
          await clear(nats())
          await using others = await Others.at(nats())
          await others.jsm.streams.add({ name: 'ORDERS', subjects: ['orders.>'], num_replicas: replicas })
          for (let n = 0; n < older; n++) await others.publish({ subject: 'orders.old' }, 'old')
        },
      })
      const others = await Others.at(nats())
      return {
        ...place,
        async publish(message, payload) {
          await others.publish(message, payload)
        },
        async dispose() {
          await others[Symbol.asyncDispose]()
          await place.dispose()
        },
      }
    },
  }
}
