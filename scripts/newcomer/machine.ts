import { mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { run, SYSTEM_PATH } from '../package/archive.ts'

/** How npm gets out of here, wherever that is: a mirror, a proxy, whom to trust. All else of the caller is left behind. */
const KEPT =
  /^(npm_config_(registry|\w*proxy|cafile|ca|strict_ssl)|(https?|all|no)_proxy|\w*(CERTS?|CAINFO|CA_BUNDLE)(_FILE|_DIR)?)$/i
const LOOPBACK = '127.0.0.1'

/** What a machine has on which nobody has installed anything but Node and npm: an empty home, and an empty cache of npm. */
export function cleanMachine(folder: string): NodeJS.ProcessEnv {
  const home = join(folder, 'home')
  mkdirSync(home)
  const own = Object.entries(process.env).filter(([name]) => KEPT.test(name))
  const directly = [process.env.no_proxy ?? process.env.NO_PROXY, LOOPBACK].filter(Boolean).join(',')
  return {
    ...Object.fromEntries(own),
    HOME: home,
    PATH: [
      ...new Set([dirname(systemProgram('node')), dirname(systemProgram('npm')), '/usr/bin', '/bin']),
    ].join(delimiter),
    LANG: 'C.UTF-8',
    npm_config_cache: join(folder, 'npm-cache'),
    // It may name a mirror. One that asks for a token cannot be used: npm sends none after it was sent on to it.
    npm_config_userconfig: process.env.npm_config_userconfig ?? join(homedir(), '.npmrc'),
    // A newcomer presses Enter when npm asks whether it may fetch create-anchorage.
    npm_config_yes: 'true',
    // npm takes the last one of the two that it finds.
    no_proxy: directly,
    NO_PROXY: directly,
    // The checkout may be another user's, as it is in containers.
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'safe.directory',
    GIT_CONFIG_VALUE_0: '*',
  }
}

function systemProgram(name: string): string {
  return run('sh', ['-c', `PATH='${SYSTEM_PATH}' command -v ${name}`], process.cwd()).trim()
}
