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

  function openNotification(): Page | undefined {
    return context.pages().find((page) => page.url() === `${root}notification.html`)
  }

  async function notification(): Promise<Page> {
    await until('the wallet asks', () => openNotification() !== undefined)
    return openNotification() as Page
  }

  /** The window once it shows a prompt; the wallet is unlocked. */
  async function asking(): Promise<Page> {
    const page = await notification()
    await page.getByTestId('request').waitFor()
    return page
  }

  /** Clicks, and resolves when the dialog has gone: the next one is shown, or the window has closed. */
  async function settle(button: 'approve' | 'reject'): Promise<void> {
    const page = await asking()
    const dialog = await page.locator('body').getAttribute('data-dialog')
    await page.getByTestId(button).click()
    const problem = async () => (await page.getByTestId('problem').allTextContents()).join('')
    let why = ''
    await until(`the wallet takes "${button}"`, async () => {
      if (page.isClosed()) return true
      try {
        if ((await page.locator('body').getAttribute('data-dialog')) !== dialog) return true
        why = await problem()
        return why !== ''
      } catch (error) {
        // It closes itself after the last prompt, perhaps while it is looked at.
        if (page.isClosed()) return true
        throw error
      }
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
      const id = await promptId(page)
      if (accounts !== undefined) {
        for (const [index, box] of (await page.getByRole('checkbox').all()).entries()) {
          await box.setChecked(accounts.includes(index))
        }
      }
      do await settle('approve')
      while (!page.isClosed() && (await promptId(page)) === id)
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
      const open = openNotification()
      const click = async (page: Page) => {
        await page.getByTestId('unlock').click()
        await until(
          'the wallet is unlocked',
          async () => page.isClosed() || (await page.getByTestId('unlock').count()) === 0,
        )
      }
      await (open === undefined ? inSettings(click) : click(open))
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

async function promptId(page: Page): Promise<string> {
  try {
    return ((await page.locator('body').getAttribute('data-dialog')) ?? '').split(' ')[0] ?? ''
  } catch (error) {
    // It closes itself after the last prompt.
    if (page.isClosed()) return ''
    throw error
  }
}

async function networksOf(page: Page): Promise<readonly WalletNetwork[]> {
  const ask = `chrome.runtime.sendMessage({ command: 'show' })`
  return (await page.evaluate<{ networks: readonly WalletNetwork[] }>(ask)).networks
}
