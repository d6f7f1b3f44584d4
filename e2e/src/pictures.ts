/**
 * Takes a picture of each page of the extension in each state, in both themes, from the gallery (see
 * extension/vite.gallery.config.ts): `pictures [GALLERY] [PICTURES] [--only TEXT] [--scale N]
 * [--format png|jpg]`. Ends with 1 if a page complains or is wider than its window.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Browser, chromium, type Page } from 'playwright-core'
import { findBrowser } from './browser/find.ts'
import { serveFolder } from './browser/staticServer.ts'

const themes = ['light', 'dark'] as const
const height = 600

interface Picture {
  readonly name: string
  readonly url: string
  readonly width: number
  /** Names of buttons to press first. */
  readonly press: readonly string[]
}

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string', default: '' },
      scale: { type: 'string', default: '2' },
      format: { type: 'string', default: 'png' },
    },
  })
  const [gallery = join('.build', 'gallery'), out = join('.build', 'pictures')] = positionals
  mkdirSync(out, { recursive: true })
  const server = await serveFolder(gallery)
  const browser = await chromium.launch({ executablePath: findBrowser(), args: ['--disable-gpu'] })
  try {
    const { pictures, time } = await contents(browser, server.url)
    for (const picture of pictures.filter(({ name }) => name.includes(values.only)))
      for (const theme of themes)
        await take(
          browser,
          picture,
          { theme, time, scale: Number(values.scale) },
          join(out, `${picture.name}-${theme}.${values.format}`),
        )
  } finally {
    await browser.close()
    await server.close()
  }
}

/** The pictures to take, as the gallery's index lists them, and the time its fixtures play at. */
async function contents(browser: Browser, url: string) {
  const page = await browser.newPage()
  await page.goto(`${url}/`)
  const links = await page.getByRole('link').all()
  const pictures = await Promise.all(
    links.map(async (link): Promise<Picture> => {
      const attribute = async (name: string) => (await link.getAttribute(name)) ?? ''
      return {
        name: await attribute('id'),
        url: url + (await attribute('href')),
        width: Number(await attribute('data-width')),
        press: (await attribute('data-press')).split('|').filter(Boolean),
      }
    }),
  )
  const time = Number(await page.locator('html').getAttribute('data-time'))
  await page.close()
  return { pictures, time }
}

interface View {
  readonly theme: (typeof themes)[number]
  /** The time that the page takes it to be. */
  readonly time: number
  /** Device pixels for each of CSS. */
  readonly scale: number
}

async function take(browser: Browser, picture: Picture, { theme, time, scale }: View, path: string): Promise<void> {
  const context = await browser.newContext({
    colorScheme: theme,
    deviceScaleFactor: scale,
    viewport: { width: picture.width, height },
    // What moves would look different in each picture.
    reducedMotion: 'reduce',
  })
  const page = await context.newPage()
  page.on('pageerror', (error) => complain(picture, error.message))
  page.on('console', (message) => message.type() === 'error' && complain(picture, message.text()))
  await page.clock.setFixedTime(time)
  await page.goto(picture.url)
  for (const name of picture.press) await page.getByRole('button', { name, exact: true }).click()
  if (await isTooWide(page)) complain(picture, 'is wider than its window')
  // A window as high as its page, so that what sticks to its edge stands where it belongs.
  const pageHeight = Number(await page.evaluate('document.documentElement.scrollHeight'))
  await page.setViewportSize({ width: picture.width, height: pageHeight })
  await page.screenshot(path.endsWith('.jpg') ? { path, type: 'jpeg', quality: 70 } : { path })
  await context.close()
}

async function isTooWide(page: Page): Promise<boolean> {
  const wide = await page.evaluate(
    '[...document.querySelectorAll("html, body, main, .card")].some((each) => each.scrollWidth > each.clientWidth)',
  )
  return wide === true
}

function complain({ name }: Picture, what: string): void {
  process.stderr.write(`${name}: ${what}\n`)
  process.exitCode = 1
}

await main()
