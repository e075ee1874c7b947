import { spawn } from 'node:child_process'

/** The program that opens an address in the user's browser. */
const OPENERS: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  darwin: ['open'],
  win32: ['cmd', '/c', 'start', ''],
}

/** Open an address in the user's browser, if there is one. Nothing comes of it otherwise. */
export function openBrowser(url: string): void {
  const { DISPLAY, WAYLAND_DISPLAY } = process.env
  const opener = OPENERS[process.platform]
  if (opener === undefined && !DISPLAY && !WAYLAND_DISPLAY) return
  const [program, ...args] = opener ?? ['xdg-open']
  const child = spawn(program!, [...args, url], { stdio: 'ignore', detached: true })
  child.on('error', () => {})
  child.unref()
}
