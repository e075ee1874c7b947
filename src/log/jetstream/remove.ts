import { JetStreamApiCodes } from '@nats-io/jetstream'
import { streamOf } from './bucket.ts'
import { codeOf, Link } from './link.ts'
import { bucketName, encodeName, streamName } from './names.ts'
import type { JetstreamLogOptions } from './options.ts'

/**
 * The streams of a group's log: its own and that of its bucket. If the log is a stream of others, that is not the
 * group's to remove: its streams are those of its two buckets.
 */
export function streamsOf({ stream, control }: JetstreamLogOptions, group: string): string[] {
  const own = stream ?? streamName(group)
  if (control === undefined) return [own, streamOf(encodeName(own))]
  return [streamOf(bucketName(own, control, 'binding')), streamOf(bucketName(own, control, 'notices'))]
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
