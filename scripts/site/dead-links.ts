import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

/** Links of the pages in a folder to a file of it that is not there, or to a place that the file does not have. */
export function deadLinks(folder: string): string[] {
  const places = new Map<string, ReadonlySet<string>>()
  const placesOf = (path: string) => {
    const known = places.get(path) ?? new Set(idsOf(readFileSync(path, 'utf8')))
    places.set(path, known)
    return known
  }
  return globSync('**/*.html', { cwd: folder }).flatMap((page) => {
    const path = join(folder, page)
    const isDead = (link: string) => {
      const [file = '', place = ''] = link.split('#').map(decodeURIComponent)
      const target = file === '' ? path : resolve(dirname(path), file)
      if (relative(folder, target).startsWith('..') || !existsSync(target)) return true
      return place !== '' && statSync(target).isFile() && !placesOf(target).has(place)
    }
    return [...new Set(linksOf(readFileSync(path, 'utf8')))].filter(isDead).map((link) => `${page}: ${link}`)
  })
}

/** Links within the site, as they stand in a page. */
function linksOf(html: string): string[] {
  const links = Array.from(html.matchAll(/ (?:href|src)="([^"]*)"/g), ([, link]) => plain(link!))
  return links.filter((link) => link !== '' && link !== '#' && !/^(?:[a-z]+:|\/\/)/i.test(link))
}

function idsOf(html: string): string[] {
  return Array.from(html.matchAll(/ id="([^"]*)"/g), ([, id]) => plain(id!))
}

function plain(attribute: string): string {
  return attribute.replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&amp;', '&')
}
