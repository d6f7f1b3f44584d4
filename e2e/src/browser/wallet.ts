/** Drives the stand-in wallet as its user: unlocks, answers what it asks, opens its home. */
import type { Page } from 'playwright-core'
import { until } from '../network/ports.ts'
import type { Browser } from './browser.ts'
import { extensionIds } from './ids.ts'

export interface WalletSettings {
  /** What stands for Infura: where requests go that are not private. */
  readonly leakUrl?: string
  /** Milliseconds between two polls of the home page. */
  readonly pollPeriod?: number
  /** Milliseconds before a failed request is repeated. */
  readonly retryDelay?: number
}

export interface WalletNetwork {
  readonly chainId: `0x${string}`
  readonly name: string
  readonly symbol: string
  readonly endpoints: readonly { readonly name: string; readonly url: string }[]
  readonly defaultEndpoint: number
}

/** What the wallet asks now. */
export interface WalletPrompt {
  readonly kind: string
  readonly origin: string
  readonly title: string
  readonly text: string
}

export interface Wallet {
  /** What it asks, once it asks something. */
  prompt(): Promise<WalletPrompt>
  /** Approves what it asks, all dialogs of it. @throws Error with what the dialog says where Approve stays grey */
  approve(accounts?: readonly number[]): Promise<void>
  /** Approves one dialog. */
  approveDialog(): Promise<void>
  reject(): Promise<void>
  /** Closes the window without an answer. */
  dismiss(): Promise<void>
  /** The window in which it asks, once it is open. */
  notification(): Promise<Page>
  lock(): Promise<void>
  /** In the window that asks, where there is one. */
  unlock(): Promise<void>
  /** The wallet polls as long as this page is open. */
  openHome(): Promise<Page>
  configure(settings: WalletSettings): Promise<void>
  networks(): Promise<readonly WalletNetwork[]>
  /** Has a network use one of its endpoints, as its user does in the settings. */
  useEndpoint(chainId: string, index: number): Promise<void>
}

/** The dialog of a window in which nothing is asked any more. */
const nothing = 'none'
const locked = 'locked'
const root = `chrome-extension://${extensionIds.wallet}/`

export function driveWallet(browser: Browser): Wallet {
  const { context } = browser

  /** Something done in the settings page, which is closed again. */
  async function inSettings<Result>(action: (page: Page) => Promise<Result>): Promise<Result> {
    const page = await browser.openPage('wallet', 'settings.html')
    try {
      return await action(page)
    } finally {
      await page.close()
    }
  }

  /** The window that shows such a dialog, once there is one. */
  async function windowThatShows(isWanted: (dialog: string) => boolean): Promise<Page> {
    let found: Page | undefined
    await until('the wallet asks', async () => {
      for (const page of openNotifications()) if (isWanted(await dialogOf(page))) found = page
      return found !== undefined
    })
    return found as Page
  }

  /** There are two while one closes. */
  function openNotifications(): readonly Page[] {
    return context.pages().filter((page) => page.url() === `${root}notification.html`)
  }

  const notification = () => windowThatShows((dialog) => dialog !== '' && dialog !== nothing)
  const asking = () => windowThatShows((dialog) => promptOf(dialog) !== '')

  /** Clicks, and resolves when the dialog has gone: the next one is shown, or the window has closed. */
  async function settle(button: 'approve' | 'reject'): Promise<void> {
    const page = await asking()
    const dialog = await dialogOf(page)
    await page.getByTestId(button).click()
    let why = ''
    await until(`the wallet takes "${button}"`, async () => {
      const shown = await dialogOf(page)
      // A window that shows nothing closes itself in a moment.
      if (shown !== dialog) return shown !== nothing
      why = await whileOpen(page, async () => (await page.getByTestId('problem').allTextContents()).join(''), '')
      return why !== ''
    })
    if (why !== '') throw new Error(why)
  }

  return {
    notification,
    approveDialog: () => settle('approve'),
    reject: () => settle('reject'),

    async prompt() {
      const page = await asking()
      const text = async (testId: string) => page.getByTestId(testId).innerText()
      return {
        kind: (await page.locator('body').getAttribute('data-kind')) ?? '',
        origin: await text('origin'),
        title: await text('title'),
        text: await text('request'),
      }
    },

    async approve(accounts) {
      const page = await asking()
      const prompt = promptOf(await dialogOf(page))
      if (accounts !== undefined) {
        for (const [index, box] of (await page.getByRole('checkbox').all()).entries()) {
          await box.setChecked(accounts.includes(index))
        }
      }
      do await settle('approve')
      while (promptOf(await dialogOf(page)) === prompt)
    },

    async dismiss() {
      await (await asking()).close()
    },

    lock: () =>
      inSettings(async (page) => {
        await page.getByTestId('lock').click()
        await page.getByTestId('unlock').waitFor()
      }),

    async unlock() {
      const click = async (page: Page) => {
        await page.getByTestId('unlock').click()
        const buttons = () => whileOpen(page, () => page.getByTestId('unlock').count(), 0)
        await until('the wallet is unlocked', async () => (await buttons()) === 0)
      }
      for (const page of openNotifications()) if ((await dialogOf(page)) === locked) return click(page)
      await inSettings(click)
    },

    openHome: () => browser.openPage('wallet', 'home.html'),

    configure: ({ leakUrl, pollPeriod, retryDelay }) =>
      inSettings(async (page) => {
        if (leakUrl !== undefined) await page.getByTestId('infura-url').fill(leakUrl)
        if (pollPeriod !== undefined) await page.getByTestId('poll-period').fill(String(pollPeriod))
        if (retryDelay !== undefined) await page.getByTestId('retry-delay').fill(String(retryDelay))
        await page.getByTestId('save').click()
        await page.getByText('Saved.').waitFor()
      }),

    networks: () => inSettings(networksOf),

    useEndpoint: (chainId, index) =>
      inSettings(async (page) => {
        await page.getByTestId(`endpoint-${chainId}-${index}`).check()
        await until('the network uses the endpoint', async () =>
          (await networksOf(page)).some((network) => network.chainId === chainId && network.defaultEndpoint === index),
        )
      }),
  }
}

/** Which dialog of which prompt a window shows, `locked` or `none`; empty before it shows anything and when it closed. */
function dialogOf(page: Page): Promise<string> {
  return whileOpen(page, async () => (await page.locator('body').getAttribute('data-dialog')) ?? '', '')
}

/** The id of the prompt that a dialog belongs to, empty for what is no prompt. */
function promptOf(dialog: string): string {
  const [prompt = '', number] = dialog.split(' ')
  return number === undefined ? '' : prompt
}

/** The window closes itself after the last prompt, perhaps while it is looked at: then `instead`. */
async function whileOpen<Result>(page: Page, look: () => Promise<Result>, instead: Result): Promise<Result> {
  try {
    return await look()
  } catch (error) {
    if (page.isClosed()) return instead
    throw error
  }
}

async function networksOf(page: Page): Promise<readonly WalletNetwork[]> {
  const ask = `chrome.runtime.sendMessage({ command: 'show' })`
  return (await page.evaluate<{ networks: readonly WalletNetwork[] }>(ask)).networks
}
