/** A Firefox of its own with extensions in it, driven over WebDriver BiDi. */
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import puppeteer, { type Page } from 'puppeteer-core'
import { until } from '../../src/network/index.ts'

export interface Firefox {
  newPage(): Promise<Page>
  /** A page of an extension in a tab. */
  openExtensionPage(path: string, id?: string): Promise<Page>
  close(): Promise<void>
}

/** The path of a Firefox, or undefined where there is none. */
export function findFirefox(): string | undefined {
  const wanted = process.env.NIGHTJAR_FIREFOX
  if (wanted) return wanted
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  const paths = folders.flatMap((folder) => ['firefox-esr', 'firefox'].map((name) => join(folder, name)))
  return paths.find((path) => existsSync(path))
}

export interface FirefoxOptions {
  readonly executable: string
  /** Folders of extensions by their ids. The first one's pages are opened where no other is asked for. */
  readonly extensions: Readonly<Record<string, string>>
  /** The user's home folder. */
  readonly home: string
  /** Of about:config. */
  readonly preferences?: Readonly<Record<string, string | number | boolean>>
  /** Whether certificates are not looked at. */
  readonly acceptInsecureCerts?: boolean
}

export async function launchFirefox(options: FirefoxOptions): Promise<Firefox> {
  const { executable, extensions, home, preferences, acceptInsecureCerts = false } = options
  const ids = Object.keys(extensions)
  // The pages of an extension have a host of the profile's own; this profile is told which.
  const hosts = Object.fromEntries(ids.map((id) => [id, randomUUID()]))
  const environment: NodeJS.ProcessEnv = { ...process.env, HOME: home }
  // Otherwise it would find another home's.
  const { XDG_CONFIG_HOME: _, XDG_CACHE_HOME: __, ...env } = environment
  const browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: executable,
    headless: true,
    // Without it no page of an extension can be opened.
    args: ['--remote-allow-system-access'],
    env,
    acceptInsecureCerts,
    extraPrefsFirefox: { ...preferences, 'extensions.webextensions.uuids': JSON.stringify(hosts) },
  })
  for (const folder of Object.values(extensions)) await browser.installExtension(folder)
  return {
    newPage: () => browser.newPage(),
    async openExtensionPage(path, id = ids[0] as string) {
      const page = await browser.newPage()
      const url = `moz-extension://${hosts[id]}/${path}`
      // It moves to another process, of whose loading BiDi does not tell: the answer never comes.
      page.goto(url).catch(() => undefined)
      await until(`${path} is open`, async () => (await addressIn(page)) === url)
      return page
    },
    close: () => browser.close(),
  }
}

async function addressIn(page: Page): Promise<string> {
  try {
    return await evaluate<string>(page, "document.readyState === 'complete' ? location.href : ''")
  } catch {
    // Asked while the page is replaced by the next.
    return ''
  }
}

/** What an expression, in the page's own terms, is there. */
export function evaluate<Value>(page: Page, expression: string): Promise<Value> {
  return page.evaluate(expression) as Promise<Value>
}

/** Types into a field as a user does. */
export async function fill(page: Page, selector: string, text: string): Promise<void> {
  const field = `document.querySelector(${JSON.stringify(selector)})`
  await until(`${selector} is shown`, () => evaluate<boolean>(page, `${field} !== null`))
  await evaluate(page, `${field}.value = ${JSON.stringify(text)}`)
  await evaluate(page, `${field}.dispatchEvent(new Event('input', { bubbles: true }))`)
}

/** Clicks the button with these words on it, once it can be clicked. */
export function press(page: Page, words: string): Promise<void> {
  const button = `[...document.querySelectorAll('button:enabled')].find(({ innerText }) => innerText.trim() === ${JSON.stringify(words)})`
  return until(`"${words}" can be pressed`, () =>
    evaluate<boolean>(page, `(() => { const button = ${button}; button?.click(); return button !== undefined })()`),
  )
}
