import { relative } from 'node:path'
import type { Plugin } from 'rolldown'

const ADDRESS = 'import.meta.url'
/** Stand in a module's code until it is known in which file of the bundle that comes to be. */
const FILE = '@own-file-of-the-bundle'
const ROOT = '@own-root-of-the-bundle/'

/**
 * Let `import.meta.url` be the address that a module had if it had kept a file of its own. What it reads or starts
 * beside itself (a thread, a page, a template, `package.json`) is found from there, whatever file its code is in.
 * Somebody may put that file into a bundle in turn. There it is the bundle's own address, as it is for every module.
 *
 * @param src the folder of the modules
 * @param below where the files of this bundle are, from the folder that corresponds to `src`: '' or `cli/bundled/`
 */
export function ownAddress(src: string, below = ''): Plugin {
  return {
    name: 'own-address',
    transform: {
      filter: { code: ADDRESS },
      handler(code, id) {
        const path = relative(src, id).replace(/\.ts$/, '.js')
        if (path.startsWith('..')) return undefined
        const own = `new URL("${ROOT}${path}", ${ADDRESS}).href`
        // No line moves, so source maps stay true.
        return {
          code: code.replaceAll(
            ADDRESS,
            `(${ADDRESS}?.split("?")[0].endsWith("${FILE}") ? ${own} : ${ADDRESS})`,
          ),
          map: null,
        }
      },
    },
    renderChunk(code, { fileName }) {
      if (!code.includes(ROOT)) return undefined
      const file = below + fileName
      const root = '../'.repeat(file.split('/').length - 1) || './'
      return { code: code.replaceAll(ROOT, root).replaceAll(FILE, `/${file}`), map: null }
    },
  }
}
