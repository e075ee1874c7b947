/** How the page writes numbers and names. */

/** Characters of a name or a message that are shown. */
const TEXT_LENGTH_MAX = 300
/** Characters of a PeerId that are shown: the last ones, where PeerIds differ. */
const SHORT_ID_LENGTH = 8
/** Controls, and what turns the direction of a text around: a name could look like another one. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/** "12,345". */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en')
}

/** "1 replica", "3 replicas". */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`
}

/** Bytes as "25.3 MB". */
export function size(bytes: number): string {
  if (bytes < 1_000) return `${Math.round(bytes)} B`
  if (bytes < 1_000_000) return `${(bytes / 1_000).toFixed(1)} kB`
  return bytes < 1_000_000_000
    ? `${(bytes / 1_000_000).toFixed(1)} MB`
    : `${(bytes / 1_000_000_000).toFixed(1)} GB`
}

/** Milliseconds as "7.3 s", "2 min 5 s" or "3 h 20 min". */
export function duration(ms: number): string {
  if (ms < 60_000) return `${(Math.max(0, ms) / 1_000).toFixed(1)} s`
  const seconds = Math.round(ms / 1_000)
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  return `${count(Math.floor(seconds / 3_600))} h ${Math.floor((seconds % 3_600) / 60)} min`
}

/** The time of day of a moment in milliseconds since 1970. */
export function clockTime(atMs: number): string {
  const at = new Date(atMs)
  return Number.isNaN(at.getTime()) ? '' : at.toTimeString().slice(0, 8)
}

/** A text from a peer, cut, and without characters that nobody sees. */
export function plain(text: string): string {
  const shown = text.length > TEXT_LENGTH_MAX ? `${text.slice(0, TEXT_LENGTH_MAX)}…` : text
  return shown.replace(INVISIBLE, '\u{fffd}')
}

/** The end of a PeerId: "…x7Kq9aBc". */
export function shortId(id: string): string {
  return id.length <= SHORT_ID_LENGTH ? plain(id) : `…${plain(id.slice(-SHORT_ID_LENGTH))}`
}
