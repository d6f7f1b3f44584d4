/** Starts Chromium with extensions and reaches what a page cannot: their pages and service workers. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BrowserContext, chromium, type Page, type Worker } from 'playwright-core'
import { findBrowser } from './find.ts'
import { type ExtensionName, extensionIds } from './ids.ts'

export interface BrowserOptions {
  /** Folders of unpacked extensions; for a profile that keeps its own (`keepExtensions`), none. */
  readonly extensions: readonly string[]
  readonly userDataDir: string
  readonly headless?: boolean
  /** Ports of loopback that stand for hosts: `{ 'dapp.example': 4000 }` makes http://dapp.example/ work. */
  readonly hostRules?: Readonly<Record<string, number>>
  /** Has names looked up by the system, and no `hostRules`: for a namespace in which nothing can leave. */
  readonly isEnclosed?: boolean
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export interface Browser {
  readonly context: BrowserContext
  /** Opens a page of an extension in a tab. */
  openPage(extension: ExtensionName, path: string): Promise<Page>
  /** The extension's service worker, once it was started; it stands for each that is started after it. */
  serviceWorker(extension: ExtensionName): Promise<Worker>
  /** Ends all service workers, as Chromium does with idle ones; resolves when they are gone. */
  stopServiceWorkers(): Promise<void>
  close(): Promise<void>
}

export async function launchBrowser(options: BrowserOptions): Promise<Browser> {
  const { extensions, userDataDir, headless = true, hostRules = {}, isEnclosed = false, args = [], env = {} } = options
  const folders = extensions.join(',')
  const context = await chromium.launchPersistentContext(userDataDir, {
    executablePath: findBrowser(),
    headless,
    ignoreDefaultArgs: ['--disable-extensions'],
    args: [
      ...(extensions.length === 0 ? [] : [`--disable-extensions-except=${folders}`, `--load-extension=${folders}`]),
      ...(isEnclosed ? [] : [`--host-resolver-rules=${resolverRules(hostRules)}`]),
      '--disable-gpu',
      ...(isEnclosed ? [] : ['--disable-quic']),
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      ...args,
    ],
    env: { ...process.env, ...env } as Record<string, string>,
    ...(headless ? {} : { viewport: null }),
  })

  // Anything that a person waits for comes sooner than this; what takes longer says so where it is waited for.
  context.setDefaultTimeout(15_000)
  return {
    context,
    async openPage(extension, path) {
      const page = await context.newPage()
      await page.goto(`chrome-extension://${extensionIds[extension]}/${path}`)
      return page
    },
    async serviceWorker(extension) {
      const isWanted = (worker: Worker) => worker.url().startsWith(`chrome-extension://${extensionIds[extension]}/`)
      return (
        context.serviceWorkers().find(isWanted) ??
        (await context.waitForEvent('serviceworker', { predicate: isWanted }))
      )
    },
    async stopServiceWorkers() {
      const page = context.pages()[0] ?? (await context.newPage())
      const session = await context.newCDPSession(page)
      await session.send('ServiceWorker.enable')
      // Answered when they have ended.
      await session.send('ServiceWorker.stopAllWorkers')
      await session.detach()
    },
    close: () => context.close(),
  }
}

/**
 * Makes the extensions that were loaded from the command line stay in a profile whose browser is closed, as those do that
 * a user loads by hand. Chromium installs those of the command line anew at each start, and for that moment their settings
 * of the browser are not in force (8 of 48 starts sent a page's first request past the proxy, 0 of 152 with extensions
 * that stay: these, and such as a policy installs).
 */
export async function keepExtensions(userDataDir: string): Promise<void> {
  const file = join(userDataDir, 'Default', 'Preferences')
  const preferences = JSON.parse(await readFile(file, 'utf8')) as Preferences
  for (const extension of Object.values(preferences.extensions.settings)) {
    if (extension.location === location.commandLine) extension.location = location.unpacked
  }
  preferences.extensions.ui = { ...preferences.extensions.ui, developer_mode: true }
  await writeFile(file, JSON.stringify(preferences))
}

/** Chromium's `ManifestLocation`. */
const location = { unpacked: 4, commandLine: 8 } as const

interface Preferences {
  readonly extensions: { readonly settings: Record<string, { location?: number }>; ui?: { developer_mode?: boolean } }
}

/** The hosts of a test, and nothing else: no name of the real Internet is ever looked up. */
function resolverRules(hosts: Readonly<Record<string, number>>): string {
  const mapped = Object.entries(hosts).map(([host, port]) => `MAP ${host} 127.0.0.1:${port}`)
  return [...mapped, 'MAP * ~NOTFOUND', 'EXCLUDE 127.0.0.1', 'EXCLUDE localhost'].join(', ')
}
