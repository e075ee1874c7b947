import type { PageView } from '../view.ts'

const view = document.querySelector('#view')!
const events = document.querySelector('#events')!
const live = new EventSource('live')

live.addEventListener('view', ({ data }: MessageEvent<string>) => {
  const parsed: PageView = JSON.parse(data)
  view.textContent = JSON.stringify(parsed, undefined, 2)
})

live.addEventListener('event', ({ data, lastEventId }: MessageEvent<string>) => {
  events.textContent = `${lastEventId} ${data}\n${events.textContent}`.slice(0, 10_000)
})
