import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { deadLinks } from '../../scripts/site/dead-links.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anchorage-site-'))
  await mkdir(join(folder, 'pages'))
  await writeFile(join(folder, 'index.html'), '<h1 id="top">All</h1>')
  await writeFile(join(folder, 'a picture.svg'), '<svg/>')
})
afterAll(() => rm(folder, { recursive: true }))

async function deadIn(html: string): Promise<string[]> {
  await writeFile(join(folder, 'pages', 'one.html'), html)
  return deadLinks(folder)
}

test.each([
  ['a page', '<a href="../index.html">'],
  ['a place of a page', '<a href="../index.html#top">'],
  ['a place of its own', '<h2 id="one&amp;two"></h2><a href="#one&amp;two">'],
  ['a picture, with a space in its name', '<img src="../a%20picture.svg">'],
  ['another site', '<a href="https://example.com/none.html#none">'],
  ['an address of mail', '<a href="mailto:a@example.com">'],
])('a link to %s is not dead', async (_what, html) => {
  expect(await deadIn(html)).toEqual([])
})

test.each([
  ['a page that is not there', '<a href="none.html">', 'none.html'],
  ['a place that a page does not have', '<a href="../index.html#none">', '../index.html#none'],
  ['a place that its own page does not have', '<a href="#none">', '#none'],
  ['a picture that is not there', '<img src="none.svg">', 'none.svg'],
  ['a file outside of the site', '<a href="../../">', '../../'],
])('a link to %s is dead', async (_what, html, link) => {
  expect(await deadIn(html)).toEqual([`${join('pages', 'one.html')}: ${link}`])
})
