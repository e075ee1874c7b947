import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { cut } from './src/snapshot/cut.ts'
import { CutHistory } from './src/snapshot/cut-history.ts'
import { CutSnapshot } from './src/snapshot/cut-snapshot.ts'
import { Basis } from './src/snapshot/basis.ts'
import { hintsOf, picked } from './src/snapshot/hints.ts'
import { itemsOf } from './src/snapshot/chunk.ts'
import { zstdCoder } from './src/snapshot/encoding.ts'
import { systemClock } from './src/time/clock.ts'
const mode = process.argv[2]!, kind = process.argv[3] ?? 'runs'
const N = 1_000_000, ITEM = 112, PER = 36, PAGE = 4096, SLAB = 1 << 18
let version = 0
const leaves: any[] = []
let slab = new Uint8Array(SLAB), at = 0
for (let i = 0; i < N; i += PER) {
  if (at + PAGE > SLAB) { slab = new Uint8Array(SLAB); at = 0 }
  const n = Math.min(PER, N - i); let p = at
  for (let j = 0; j < n; j++) { slab[p++] = ITEM; for (let k = 0; k < ITEM; k += 4) { const r = (Math.random() * 2 ** 32) >>> 0; slab[p + k] = r; slab[p + k + 1] = r >> 8; slab[p + k + 2] = mode.includes('zip') ? 0 : r >> 16; slab[p + k + 3] = mode.includes('zip') ? 0 : r >> 24 } p += ITEM }
  leaves.push({ bytes: slab, start: at, end: p, length: n, version: ++version, boundaries: undefined }); at += PAGE
}
function* items() { for (const l of leaves) for (let p = l.start; p < l.end; p += ITEM + 1) yield l.bytes.subarray(p + 1, p + 1 + ITEM) }
const snap = () => kind === 'runs' ? ({ size: N, items, *runs() { yield* leaves }, release() {} }) : ({ size: N, items, release() {} })
const MB = 1e6
const rss = () => process.memoryUsage.rss()
const peak = () => Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]) * 1024
async function settle() { for (let i = 0; i < 6; i++) { gc!(); await delay(100) } return rss() }
const empty = 60 * MB
const s0 = await settle()
writeFileSync('/proc/self/clear_refs', '5')
const history = new CutHistory()
const opts = () => ({ control: new Uint8Array(), chunkBytes: 1 << 20, clock: systemClock, signal: new AbortController().signal, history })
if (mode.startsWith('serve')) {
  const into = new CutSnapshot(zstdCoder)
  await cut(snap(), into, opts())
  console.log('after cut  ', ((rss() - s0) / MB).toFixed(0), 'peak +', ((peak() - s0) / MB).toFixed(0))
  let sum = 0
  for (let i = 0; i < into.infos.length; i++) { const { bytes } = await into.chunk(i); sum += bytes.length; await new Promise(setImmediate) }
  console.log('after serve', ((rss() - s0) / MB).toFixed(0), 'peak +', ((peak() - s0) / MB).toFixed(0), 'sent', (sum / MB).toFixed(0))
  const h = await settle(); console.log('held       ', ((h - s0) / MB).toFixed(0))
  into.release(); console.log('released   ', (((await settle()) - s0) / MB).toFixed(0))
} else {
  const { signal } = new AbortController()
  const basis = await Basis.of(snap(), { chunkBytes: 1 << 20, clock: systemClock, signal, enough: signal, history })
  console.log('after basis', ((rss() - s0) / MB).toFixed(0), 'peak +', ((peak() - s0) / MB).toFixed(0))
  const hints = [] as Uint32Array[]
  const into = new CutSnapshot(zstdCoder)
  await cut(snap(), into, opts())
  const t = performance.now()
  const built: Uint8Array[] = []
  for (let i = 0; i < into.infos.length; i++) {
    const chunk = itemsOf(await into.raw(i), into.infos[i]!.items)
    const h = hintsOf(chunk)
    for (let k = 5; k < h.length; k += 17) h[k] = h[k]! ^ 0x55555
    const match = await basis.match(h)
    built.push(basis.assemble(match, picked(chunk, match.runs), into.infos[i]!.bytes))
  }
  console.log('rebuilt', ((rss() - s0) / MB).toFixed(0), 'peak +', ((peak() - s0) / MB).toFixed(0), 'ms', (performance.now() - t).toFixed(0), built.length)
  basis.release()
}
console.log('settled before', ((s0 - empty) / MB).toFixed(0))
