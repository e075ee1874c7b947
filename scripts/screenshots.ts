/**
 * Writes the pictures of the live page in docs/images, from real replicas of which one catches up: `npm run
 * screenshots`. Chromium must be installed.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Looks, launchChromium, Tab } from '../test/browser/tab.ts'
import { type Watched, WatchedGroup } from '../test/browser/watched-group.ts'

const IMAGES = join(import.meta.dirname, '..', 'docs', 'images')
const ITEMS = 1_100
/** How long the group is written to before, so that the charts show something. */
const WRITTEN_MS = 60_000
/** The links of the replicas, in bytes per second: not alike. The leader's is the first, and hardly used. */
const PACES = [5_000, 6_000, 4_000, 2_500]

interface Picture extends Looks {
  readonly name: string
  /** The last part of the page that is in the picture. */
  readonly last: string
}

const PICTURES: readonly Picture[] = [
  { name: 'page-light', last: 'log-title', colorScheme: 'light' },
  { name: 'page-dark', last: 'offers-title', colorScheme: 'dark' },
  { name: 'page-phone', last: 'log-title', width: 390, colorScheme: 'light' },
]

mkdirSync(IMAGES, { recursive: true })
await using group = new WatchedGroup()
const replicas = await group.startLed(3, ITEMS, { prune: { keepEntries: 1_500 } })
const [leader, provider] = replicas
await using server = await group.serve(provider!)
const browser = await launchChromium()
const tabs = await Promise.all(PICTURES.map((looks) => Tab.open(browser, server.url, looks)))
await write(leader)
for (const [n, { link }] of replicas.entries()) link.bytesPerSecond = PACES[n]!
const joiner = await group.start({ lead: false, snapshotAfter: 0 })
await Promise.all(tabs.map((tab) => tab.shows('.catch-up[data-state=running] .percent', /^(4[5-9]|5\d) %$/)))
await Promise.all(tabs.map((tab, n) => take(tab, PICTURES[n]!)))
for (const { link } of replicas) link.bytesPerSecond = Number.POSITIVE_INFINITY
await joiner.replica.inSync()
await browser.close()

/** The page from its top to the end of a part. */
async function take({ page }: Tab, { name, last }: Picture): Promise<void> {
  const part = page.locator(`section[aria-labelledby=${last}]`)
  const { y, height } = (await part.boundingBox())!
  const { width } = page.viewportSize()!
  const clip = { x: 0, y: 0, width, height: y + height + 12 }
  await page.screenshot({ path: join(IMAGES, `${name}.png`), fullPage: true, clip })
}

/** Write, now more and now less, with a snapshot now and then. */
async function write({ replica, map }: Watched): Promise<void> {
  const endMs = performance.now() + WRITTEN_MS
  for (let n = 0; performance.now() < endMs; n++) {
    const values = Array.from({ length: 4 + Math.round(3 * Math.sin(n / 25)) }, (_, k) => `${n} ${k}`)
    await Promise.all(values.map((value, k) => map.set(`city ${k}`, value)))
    if (n % 150 === 75) await replica.mark()
    await sleep(100)
  }
}
