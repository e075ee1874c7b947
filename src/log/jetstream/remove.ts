import { JetStreamApiCodes } from '@nats-io/jetstream'
import { codeOf, Link } from './link.ts'
import { encodeName, streamName } from './names.ts'
import type { JetstreamLogOptions } from './options.ts'

/** The streams of a group's log: its own and that of its bucket. */
export function streamsOf(group: string): string[] {
  const stream = streamName(group)
  return [stream, `KV_${encodeName(stream)}`]
}

/** Remove those of the streams that exist. */
export async function removeStreams(place: JetstreamLogOptions, streams: readonly string[]): Promise<void> {
  const link = await Link.open(place)
  try {
    for (const stream of streams) {
      await link.ask(async (jsm) => {
        try {
          await jsm.streams.delete(stream)
        } catch (error) {
          if (codeOf(error) !== JetStreamApiCodes.StreamNotFound) throw error
        }
      })
    }
  } finally {
    await link.close()
  }
}
