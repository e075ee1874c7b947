import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Announcement } from '../../src/group/announcement.ts'
import { announce } from './announced.ts'
import { describeBrowser } from './chromium.ts'
import { launchChromium, Tab, WAIT_MS } from './tab.ts'
import { WatchedGroup } from './watched-group.ts'

const HOSTILE = `"><img src=x onerror="alert(1)"><script>alert(2)</script>\u202e</td>{{7*7}}`

describeBrowser('the live page', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await launchChromium()
  })
  afterAll(() => browser?.close())

  test('says that the connection is lost, and recovers when another replica is on the same port', async () => {
    await using group = new WatchedGroup()
    const [leader] = await group.startLed(0, 10)
    const server = await group.serve(leader)
    await using tab = await Tab.open(browser, server.url)
    await tab.shows('#fact-self', leader.replica.id.slice(-8))
    const port = Number(new URL(server.url).port)
    await leader.replica.stop()
    await tab.shows('#lost', /…\w{8} does not answer\. What is shown is of \d\d:\d\d:\d\d, .* ago/)
    await tab.shows('#connection-text', 'connection lost')
    const next = await group.start()
    await group.serve(next, port)
    await tab.shows('#fact-self', next.replica.id.slice(-8))
    await tab.shows('#connection-text', 'live')
    await tab.page.locator('#lost').waitFor({ state: 'hidden' })
    await tab.shows('#speaker', /The connection is lost|The connection is back|shows replica/)
    // The browser tells of each attempt that failed while nobody was there.
    expect(tab.faults.filter((fault) => !fault.includes('net::ERR_'))).toEqual([])
  }, 120_000)

  test('shows what peers announce as text, whatever it is', async () => {
    await using group = new WatchedGroup(HOSTILE)
    const [leader] = await group.startLed(0, 10)
    await announce(
      group,
      leader,
      new Map([
        [HOSTILE, { version: HOSTILE, signature: HOSTILE, addresses: [HOSTILE, 'javascript:alert(3)'] }],
        ['__proto__', { version: 'constructor', applied: Number.MAX_SAFE_INTEGER }],
        ['x'.repeat(200), { offers: [{ anchor: 1, remainingMs: 2 ** 31 - 1, ready: false }] }],
      ]),
    )
    await using server = await group.serve(leader)
    await using tab = await Tab.open(browser, server.url)
    await tab.shows('#group', '<script>alert(2)</script>')
    await expect.poll(() => tab.page.locator('#replicas tr').count(), { timeout: WAIT_MS }).toBe(4)
    await leader.replica.mark()
    await tab.page.locator('#anchors tr').first().waitFor()
    expect(await tab.page.locator('img, script:not([src]), [onerror], [style*="img"]').count()).toBe(0)
    expect(await tab.page.evaluate<string>('document.dir + getComputedStyle(document.body).direction')).toBe(
      'ltr',
    )
    await expect.poll(() => tab.overflow(), { timeout: WAIT_MS }).toBe(0)
    expect(tab.faults).toEqual([])
  }, 120_000)

  test('stays small and quick with 200 replicas', async () => {
    await using group = new WatchedGroup()
    const [leader] = await group.startLed(0, 10)
    const members = Array.from({ length: 200 }, (_, n): [string, Partial<Announcement>] => [
      `12D3KooWmember${String(n).padStart(3, '0')}`,
      {
        applied: n,
        addresses: [`/ip4/10.0.0.${n}/tcp/4001`],
        offers: [{ anchor: 1, remainingMs: 600_000, ready: true }],
        ...(n % 20 === 0 && { state: 'catching-up', catchUp: progressOf(n) }),
      },
    ])
    await announce(group, leader, new Map(members))
    await using server = await group.serve(leader)
    await using tab = await Tab.open(browser, server.url)
    await tab.shows('#fact-replicas', '191 of 201')
    await tab.shows('#replicas-pager', '1 to 25 of 201')
    await tab.shows('#offers-pager', '1 to 10 of 200')
    await tab.shows('#catch-ups-pager', '1 to 6 of 10')
    for (let n = 0; n < 40; n++) await leader.map.set('city', `of change ${n}`)
    await tab.shows('#fact-applied', /applied 4\d|applied 5\d/)
    const spent = await tab.page.evaluate<number[]>(
      'performance.getEntriesByName("view", "measure").map(({ duration }) => duration)',
    )
    const median = spent.sort((a, b) => a - b)[Math.floor(spent.length / 2)]!
    console.log(`200 replicas: ${spent.length} views, ${median.toFixed(1)} ms of scripting each (median)`)
    // The browser would keep one for each view, for as long as the page is open.
    expect(await tab.page.evaluate<number>('performance.getEntriesByType("mark").length')).toBe(0)
    expect(await tab.page.evaluate<number>('document.querySelectorAll("*").length')).toBeLessThan(3_000)

    await tab.page.locator('#replicas-pager button').last().click()
    await tab.shows('#replicas-pager', '26 to 50 of 201')
    await tab.page.locator('#replicas-filter').fill('member123')
    await expect.poll(() => tab.page.locator('#replicas tr').count()).toBe(1)
    await tab.shows('#replicas tr', 'ember123')
    expect(await tab.violations()).toEqual([])
    await tab.page.setViewportSize({ width: 360, height: 800 })
    await expect.poll(() => tab.overflow(), { timeout: WAIT_MS }).toBe(0)
    expect(tab.faults).toEqual([])
  }, 120_000)

  test('everything is reached and worked with the keyboard', async () => {
    await using group = new WatchedGroup()
    const [leader] = await group.startLed(0, 10)
    await using server = await group.serve(leader)
    await using tab = await Tab.open(browser, server.url, { reducedMotion: 'reduce' })
    await leader.replica.mark()
    await tab.shows('#events li', 'sealed')
    const { keyboard } = tab.page
    await keyboard.press('Tab')
    expect(await focused(tab)).toMatchObject({ name: 'Skip to the catch-ups', isVisible: true })
    await keyboard.press('Enter')
    expect(new URL(tab.page.url()).hash).toBe('#catch-ups')
    const names: string[] = []
    for (let n = 0; n < 14 && !names.includes('problems'); n++) {
      await keyboard.press('Tab')
      const { name, isVisible } = await focused(tab)
      expect({ name, isVisible }).toEqual({ name, isVisible: true })
      names.push(name)
    }
    const kinds = ['state', 'anchors', 'catch-up', 'serving', 'offers', 'log', 'problems']
    expect(names).toEqual(['replicas-filter', 'events-filter', 'events-pause', ...kinds])

    await tab.page.locator('#events-kinds input').nth(1).focus()
    await keyboard.press('Space')
    await expect.poll(() => tab.page.locator('#events li', { hasText: 'sealed' }).count()).toBe(0)
    await keyboard.press('Space')
    await tab.shows('#events li', 'sealed')
    await tab.page.locator('#events-filter').focus()
    await keyboard.type('sealed')
    await expect.poll(() => tab.page.locator('#events li').count()).toBe(1)
    await keyboard.press('Tab')
    await keyboard.press('Enter')
    await leader.replica.mark()
    await tab.shows('#events-text', /Paused, [1-9]\d* came since/)
    expect(await tab.page.locator('#events li').count()).toBe(1)
    await keyboard.press('Enter')
    await expect.poll(() => tab.page.locator('#events li').count()).toBe(2)
    expect(tab.faults).toEqual([])
  }, 120_000)
})

function progressOf(n: number): Announcement['catchUp'] {
  return {
    id: n.toString(16).padStart(16, '0'),
    phase: 'fetching',
    anchor: 1,
    chunks: 500,
    chunksTotal: 1_000,
    bytes: 500_000,
    bytesTotal: 1_000_000,
    elapsedMs: 1_000,
    providers: Array.from({ length: 15 }, (_, p) => ({
      peer: `12D3KooWmember${String(p).padStart(3, '0')}`,
      chunks: 33,
      bytesPerSecond: 1_000,
    })),
    cells: Uint8Array.from({ length: 128 }, (_, at) => (at < 64 ? 17 + (at % 15) : 0)),
  }
}

/** What has the focus, and whether one sees that. */
async function focused(tab: Tab): Promise<{ readonly name: string; readonly isVisible: boolean }> {
  return await tab.page.evaluate(`(() => {
    const element = document.activeElement
    const { outlineStyle, outlineWidth } = getComputedStyle(element)
    const { width, top } = element.getBoundingClientRect()
    const name = element.id || (element.closest('label') ?? element).textContent.trim()
    return { name, isVisible: outlineStyle !== 'none' && outlineWidth !== '0px' && width > 0 && top >= 0 }
  })()`)
}
