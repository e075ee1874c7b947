import { readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Answer } from '../answer.ts'
import { browserModule } from './browser-module.ts'

/*
 * The files of the page. They are in client/, all in one folder:
 *
 *     client/page.html      is GET /
 *     client/NAME.css       is GET /page/NAME.css
 *     client/NAME.ts        is GET /page/NAME.js; the page loads main.js as a module
 *     client/NAME.svg       is GET /page/NAME.svg
 *     the package uplot     is GET /page/uplot.js and /page/uplot.css
 *
 * The page refers to them, and to `live`, without a slash in front, so that a proxy may serve it below a path of its own.
 *
 * A module imports its neighbours as './NAME.ts', charts with `import uPlot from 'uplot'`, and of other folders only
 * types, such as `import type { PageView } from '../view.ts'`. client/tsconfig.json, which `npm run check` goes by, has
 * the types of the browser. From the sources types are stripped when a module is asked for, so an edit is seen after a
 * reload; a new file is seen after a restart. scripts/build.ts does the same for dist/.
 *
 * The browser runs nothing inline: no <script> with text, no <style>, no style="…" in HTML, no innerHTML and no other
 * way to make HTML of a text. Set `textContent`, and styles by `element.style`.
 */

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.ts': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml; charset=utf-8',
}

const CLIENT = fileURLToPath(new URL('client/', import.meta.url))

/** What of uPlot the page loads. */
const CHART_FILES: readonly (readonly [path: string, file: string])[] = [
  ['/page/uplot.js', 'uplot/dist/uPlot.esm.js'],
  ['/page/uplot.css', 'uplot/dist/uPlot.min.css'],
]

/** The files of the page, by their paths. What is asked for is looked up here, and never becomes a path of a file. */
export class Assets {
  readonly #files: ReadonlyMap<string, string>

  constructor() {
    const own = readdirSync(CLIENT)
      .filter((name) => extname(name) in TYPES)
      .map((name): [string, string] => [pathOf(name), join(CLIENT, name)])
    const { resolve } = createRequire(import.meta.url)
    const charts = CHART_FILES.map(([path, file]): [string, string] => [path, resolve(file)])
    this.#files = new Map([...own, ...charts])
  }

  /** Undefined for a path that is none of the page's. Rejects with what the file system says. */
  async at(path: string): Promise<Answer | undefined> {
    const file = this.#files.get(path)
    if (file === undefined) return undefined
    const extension = extname(file)
    const content = await readFile(file)
    const body = extension === '.ts' ? browserModule(content.toString()) : content
    return { status: 200, type: TYPES[extension]!, body }
  }
}

function pathOf(name: string): string {
  return name === 'page.html' ? '/' : `/page/${name.replace(/\.ts$/, '.js')}`
}
