/**
 * The part of `npm start` that has a browser: Nightjar, a stand-in wallet and a demo dapp in a real Chromium. Headless it
 * goes the user's way by itself and shows the same proof; with a display it opens the windows and lets the user go it.
 */
import type { Page } from 'playwright-core'
import { dappUrl, goPrivate, type Stage } from './browser/index.ts'
import { call } from './network/chain.ts'

/** In milliseconds; the accounts are read one by one. */
const minute = 60_000

export interface Tour {
  readonly ok: boolean
  /** From the click to the wallet's first dialog. */
  readonly clickToDialogMs: number
  /** What the popup says in the end. */
  readonly popup: string
  readonly dappRead: { readonly method: string; readonly sameAsDirect: boolean }
  /** Requests that reached what stands for Infura after going private: none may. */
  readonly leaked: number
  /** Of the wallet's accounts, those that gateways asked about for it. */
  readonly accountsSeenFromGateways: number
  /** Requests of gateways that name two of them: none may. */
  readonly linked: number
}

/** Those of the stand-in wallet. */
const accounts = [
  '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266',
  '0x70997970C51812dc3A010C7d01b50e0d17dc79C8',
  '0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC',
]

/** Goes the user's way: one click, the wallet's dialogs, a dapp's read. */
export async function tour(stage: Stage): Promise<Tour> {
  const { popup, clickToDialogMs } = await goPrivate(stage)
  stage.leak?.forget()
  const provider = stage.network.providers[1]
  provider?.forget()
  const dapp = await openDapp(stage)
  const read = ['eth_getBalance', [accounts[0], 'latest']] as const
  const answer = await dapp.evaluate(askInPage, read)
  const direct = (await call(stage.network.nodes[1] as string, ...read)) as { result?: unknown }
  const home = await stage.wallet.openHome()
  for (const index of accounts.keys()) {
    await home.getByTestId(`balance-0x1-${index}`).filter({ hasText: /\d/ }).waitFor({ timeout: minute })
  }
  const named = provider?.seen.map(({ body }) => namedIn(body)) ?? []
  const accountsSeenFromGateways = new Set(named.flat()).size
  const linked = named.filter((each) => each.length > 1).length
  const headline = await popup.locator('h1').innerText()
  const sameAsDirect = answer === direct.result
  const leaked = stage.leak?.seen.length ?? 0
  await home.close()
  return {
    ok:
      headline === 'Private' &&
      sameAsDirect &&
      leaked === 0 &&
      accountsSeenFromGateways === accounts.length &&
      linked === 0,
    clickToDialogMs: Math.round(clickToDialogMs),
    popup: headline,
    dappRead: { method: read[0], sameAsDirect },
    leaked,
    accountsSeenFromGateways,
    linked,
  }
}

function namedIn(body: string): readonly string[] {
  return accounts.filter((account) => body.toLowerCase().includes(account.slice(2).toLowerCase()))
}

/** Leaves the windows to the user: the popup with its button, and the dapp. */
export async function openWindows(stage: Stage): Promise<void> {
  await openDapp(stage)
  await stage.nightjar.openPopup()
}

async function openDapp(stage: Stage): Promise<Page> {
  const page = await stage.browser.context.newPage()
  await page.goto(dappUrl)
  return page
}

/** Runs in the page. */
function askInPage([method, params]: readonly [string, readonly unknown[]]): Promise<unknown> {
  const { demo } = globalThis as unknown as { demo: { request(...args: unknown[]): Promise<unknown> } }
  return demo.request('MetaMask', method, params)
}
