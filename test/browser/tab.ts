import axe from 'axe-core'
import { type Browser, chromium, type Page } from 'playwright-core'

/** Debian's. */
export const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'
/** How long anything may take to appear, in milliseconds: a busy machine is slow. */
export const WAIT_MS = 60_000

export async function launchChromium(): Promise<Browser> {
  const isRoot = process.getuid?.() === 0
  return await chromium.launch({ executablePath: CHROMIUM, args: isRoot ? ['--no-sandbox'] : [] })
}

export interface Looks {
  readonly width?: number
  readonly height?: number
  readonly colorScheme?: 'light' | 'dark'
  readonly reducedMotion?: 'reduce' | 'no-preference'
}

/** A tab of the browser that keeps what went wrong in it. */
export class Tab implements AsyncDisposable {
  readonly page: Page
  /** Errors of the console, among them violations of the page's policy, and what was thrown. */
  readonly faults: string[] = []

  static async open(browser: Browser, url: string, looks: Looks = {}): Promise<Tab> {
    const { width = 1_400, height = 1_000, ...media } = looks
    const context = await browser.newContext({ viewport: { width, height }, ...media })
    context.setDefaultTimeout(WAIT_MS)
    const tab = new Tab(await context.newPage())
    await tab.page.goto(url)
    return tab
  }

  private constructor(page: Page) {
    this.page = page
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.faults.push(message.text())
    })
    page.on('pageerror', ({ message }) => this.faults.push(message))
    page.on('dialog', (dialog) => this.faults.push(`dialog: ${dialog.message()}`))
  }

  /** Resolves when an element that the selector finds has such a text. */
  async shows(selector: string, text: RegExp | string): Promise<void> {
    await this.page.locator(selector, { hasText: text }).first().waitFor({ state: 'attached' })
  }

  async text(selector: string): Promise<string> {
    return (await this.page.locator(selector).first().textContent()) ?? ''
  }

  /** What axe-core finds against the rules of accessibility, as "rule: element". */
  async violations(): Promise<string[]> {
    await this.page.evaluate(axe.source)
    const { passes, violations } = await this.page.evaluate<axe.AxeResults>('axe.run()')
    if (passes.length === 0) throw new Error('axe-core examined nothing')
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
    )
  }

  /** How much wider the page is than the screen, in pixels. */
  async overflow(): Promise<number> {
    return await this.page.evaluate<number>(
      'document.documentElement.scrollWidth - document.documentElement.clientWidth',
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.context().close()
  }
}
