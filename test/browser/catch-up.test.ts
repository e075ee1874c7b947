import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeBrowser } from './chromium.ts'
import { launchChromium, Tab, WAIT_MS } from './tab.ts'
import { type Watched, WatchedGroup } from './watched-group.ts'

const ITEMS = 1_200
/** Some seconds for all chunks, over three links. */
const SLOW = 30_000
const RUNNING = '.catch-up[data-state=running]'

describeBrowser('the live page while a replica catches up', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await launchChromium()
  })
  afterAll(() => browser?.close())

  test('the grid fills, deadlines jump back, a root is sealed, and others send what a dead provider owed', async () => {
    await using group = new WatchedGroup()
    const providers = await group.startLed(2, ITEMS)
    const [leader, , mortal] = providers
    await using server = await group.serve(leader)
    await using tab = await Tab.open(browser, server.url)
    await tab.shows('#connection-text', 'live')
    await tab.shows('#fact-replicas', '3 of 3')
    await expect.poll(() => tab.page.locator('#no-catch-ups').isVisible()).toBe(true)

    pace(providers, SLOW)
    const joiner = await group.start({ lead: false, snapshotAfter: 0 })
    const mark = await markOf(tab, mortal!)
    await tab.shows(`${RUNNING} figcaption`, new RegExp(`\\d+ of \\d+ chunks: .*\\d from ${mark}`))
    // The leader's own offer, and those of the others.
    await tab.page.locator('#offers tr[data-revivals]').first().waitFor()
    await tab.shows('#anchors tr[data-state=sealed] .tally', /^[23] of 3, needs 2$/)
    expect(await tab.page.locator('#anchors tr[data-state=sealed] .vote.cast').count()).toBeGreaterThan(1)

    await mortal!.link[Symbol.asyncDispose]()
    const missing = await squares(tab, '.missing')
    // Squares that nobody had filled have the colour of another one now.
    const fromOthers = async () => {
      const filled = await squares(tab, `.cell:not(.of-${mark}, .mark--1)`)
      return [...missing].filter((square) => filled.has(square)).length
    }
    await expect.poll(fromOthers, { timeout: WAIT_MS }).toBeGreaterThan(0)
    pace(providers, 0)
    await looksWell(tab)

    pace(providers, Number.POSITIVE_INFINITY)
    await joiner.replica.inSync()
    await tab.page.locator('.catch-up[data-state=done]').waitFor()
    await tab.shows('.catch-up[data-state=done] .percent', '100 %')
    await tab.shows('#fact-replicas', '4 of 4')
    await tab.shows('#speaker', /./)
    expect(tab.faults).toEqual([])
  }, 180_000)
})

function pace(watched: readonly Watched[], bytesPerSecond: number): void {
  for (const { link } of watched) link.bytesPerSecond = bytesPerSecond
}

/** The letter of a replica on this page. */
async function markOf(tab: Tab, { replica }: Watched): Promise<string> {
  return await tab.text(`#replicas tr[data-member="${replica.id}"] .mark`)
}

/** The squares of the layers of the grid that the selector finds. */
async function squares(tab: Tab, selector: string): Promise<Set<string>> {
  const paths = await tab.page.locator(`.catch-up .grid ${selector}`).all()
  const drawn = await Promise.all(paths.map((path) => path.getAttribute('d')))
  return new Set(drawn.flatMap((d) => d?.match(/M[^h]+/g) ?? []))
}

/** In both schemes, on a phone and on a wide screen: nothing is cut off, and axe-core finds nothing. */
async function looksWell(tab: Tab): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await tab.page.emulateMedia({ colorScheme })
    for (const width of [360, 1_400]) {
      await tab.page.setViewportSize({ width, height: 900 })
      await expect.poll(() => tab.overflow(), { timeout: WAIT_MS }).toBe(0)
      expect(await tab.violations()).toEqual([])
    }
  }
}
