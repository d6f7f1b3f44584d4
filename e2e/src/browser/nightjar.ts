/** Drives the Nightjar extension as its user: the options, the button, and what the popup says. */
import type { Page } from 'playwright-core'
import type { Browser } from './browser.ts'

export interface NightjarSettings {
  /** Extension id of the wallet. */
  readonly wallet?: string
  /** Base64 directory keys of the network, and how many must have signed. */
  readonly trust?: { readonly keys: readonly string[]; readonly threshold: number }
  /** Match patterns; empty for all sites. */
  readonly sites?: readonly string[]
}

export interface NightjarExtension {
  openPopup(): Promise<Page>
  /** Fills in the options page and saves. @throws Error with the reason where a field is refused */
  configure(settings: NightjarSettings): Promise<void>
}

export type PopupState = 'Off' | 'Going private' | 'Private' | 'Partly private' | 'Blocked'

export function driveNightjar(browser: Browser): NightjarExtension {
  return {
    openPopup: () => browser.openPage('nightjar', 'src/popup/index.html'),

    async configure({ wallet, trust, sites }) {
      const page = await browser.openPage('nightjar', 'src/options/index.html')
      try {
        if (wallet !== undefined) await page.locator('#wallet-id').fill(wallet)
        if (trust !== undefined) {
          await page.locator('#directory-keys').fill(trust.keys.join('\n'))
          await page.locator('#directory-threshold').fill(String(trust.threshold))
        }
        if (sites !== undefined) {
          await page
            .locator('input[name=sites]')
            .nth(sites.length > 0 ? 1 : 0)
            .check()
          if (sites.length > 0) await page.locator('#sites-list').fill(sites.join('\n'))
        }
        // Nothing to save where it is so already.
        if (await page.locator('button[type=submit]').isDisabled()) return
        await page.locator('button[type=submit]').click()
        await page.getByRole('status').filter({ hasText: /\S/ }).waitFor()
        const refusals = await page.locator('p.refusal[id]').allTextContents()
        if (refusals.length > 0) throw new Error(refusals.join('; '))
      } finally {
        await page.close()
      }
    },
  }
}

/** The popup's headline. */
export function popupState(popup: Page): Promise<PopupState> {
  return popup.locator('h1').innerText() as Promise<PopupState>
}

/** Waits until the popup's headline is one of `states`. */
export async function untilPopup(popup: Page, ...states: readonly PopupState[]): Promise<void> {
  await popup
    .locator('h1')
    .filter({ hasText: new RegExp(`^(${states.join('|')})$`) })
    .waitFor()
}

/** Opens the wallet once it counts: what it asked before it was asked anew is no evidence, and its next poll is far away. */
export async function openWalletWhenAsked(popup: Page, wallet: { openHome(): Promise<Page> }): Promise<Page> {
  const isPrivate = popup.locator('h1').filter({ hasText: /^Private$/ })
  await popup.getByText('Open your wallet once').or(isPrivate).first().waitFor()
  return wallet.openHome()
}
