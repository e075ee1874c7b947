import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const MAIN = join(ROOT, 'src/cli/main.ts')
const BY_NAME = new URL('../setup/package-by-name.ts', import.meta.url).href

const NODE = `"${process.execPath}" --import "${BY_NAME}"`

/**
 * The programs of a page, against the sources. `npm install` links what is installed here already, so that nothing comes from a
 * registry, and a package that the page forgets is missing. Without names it brings those in package.json.
 * `npm create anchorage` writes such a project. All else is npm itself.
 */
const NPX = `#!/bin/sh
[ -e node_modules/"$1" ] || { echo "$1 is not installed" >&2; exit 127; }
case "$1" in
  node) shift; exec ${NODE} "$@" ;;
  anchorage) shift; exec ${NODE} "${MAIN}" "$@" ;;
esac
echo "no program of the package: $1" >&2; exit 127
`
const NPM = `#!/bin/sh
if [ "$1 $2" = "create anchorage" ]; then shift 2; exec "${process.execPath}" "${MAIN}" init "$@"; fi
if [ "$1" != install ]; then PATH="\${PATH#*:}" exec npm "$@"; fi
shift
if [ $# = 0 ]; then
  mkdir -p node_modules/.bin
  printf '#!/bin/sh\\nexec %s "$@"\\n' '${NODE}' > node_modules/.bin/node
  chmod +x node_modules/.bin/node
  set -- $("${process.execPath}" -p "Object.keys(require('./package.json').dependencies).join(' ')")
fi
for name in "$@"; do
  name="\${name%@[0-9]*}"
  source="${ROOT}node_modules/$name"
  [ "$name" = anchorage ] && source="${ROOT}"
  [ -e "$source" ] || { echo "no such package here: $name" >&2; exit 1; }
  mkdir -p "node_modules/$(dirname "$name")"
  ln -sfn "$source" "node_modules/$name"
done
`

/** An empty directory in a folder, and an environment whose `npm` and `npx` are those above. `path`: what comes before the PATH. */
export function sourcesIn(folder: string, path: readonly string[] = []) {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  for (const [name, program] of Object.entries({ npx: NPX, npm: NPM }))
    writeFileSync(join(bin, name), program, { mode: 0o755 })
  const own = Object.entries(process.env).filter(([name]) => !/^(npm_|ANCHORAGE_(?!TEST_))/i.test(name))
  const PATH = [bin, ...path, process.env.PATH].join(':')
  const cwd = join(folder, 'home')
  mkdirSync(cwd)
  return { cwd, env: { ...Object.fromEntries(own), PATH, NO_COLOR: '1' } }
}
