/** A browser with the stand-in wallet and the demo dapp in it, around the tests of one file. */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll } from 'vitest'
import { type Browser, driveWallet, launchBrowser, serveFolder, type Wallet } from '../../src/browser/index.ts'
import { type Chain, startChain } from '../../src/network/chain.ts'
import { type WrittenExtension, writeExtension } from './extension.ts'
import { type RpcEndpoint, startRpcEndpoint } from './rpcEndpoint.ts'

export interface StandIn {
  readonly browser: Browser
  readonly wallet: Wallet
  readonly dappPort: number
  /** A node of chain 31337. */
  readonly chain: Chain
  /** What stands for Infura; the node behind it is the same. */
  readonly infura: RpcEndpoint
  readonly other: WrittenExtension
  /** Closes the browser and starts it again with the same profile. */
  restart(): Promise<void>
}

const hosts = ['dapp.example', 'a.example', 'b.example', 'c.example', 'd.example', 'e.example', 'f.example']

/** The folder of what was built. @throws Error that says how to build it */
export function built(name: 'wallet' | 'dapp'): string {
  const folder = join(import.meta.dirname, '..', '..', '..', 'dist', name)
  if (!existsSync(folder)) throw new Error(`${folder} is not there: node scripts/run.mjs build`)
  return folder
}

/** @param settings of the wallet from the start */
export function useStandIn(settings: { pollPeriod?: number; retryDelay?: number } = {}): StandIn {
  const undo: (() => Promise<unknown>)[] = []
  // Assigned before any test can read it.
  let standIn = {} as StandIn

  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nightjar-wallet-'))
    undo.push(() => rm(folder, { recursive: true, force: true }))
    const chain = await startChain(31337, folder)
    undo.push(() => chain.stop())
    const infura = await startRpcEndpoint(chain.url)
    undo.push(() => infura.close())
    const dapp = await serveFolder(built('dapp'))
    undo.push(() => dapp.close())
    const other = writeExtension(join(folder, 'other'))

    async function launch(): Promise<void> {
      const browser = await launchBrowser({
        extensions: [built('wallet'), other.folder],
        userDataDir: join(folder, 'profile'),
        hostRules: Object.fromEntries(hosts.map((host) => [host, dapp.port])),
      })
      standIn = { browser, wallet: driveWallet(browser), dappPort: dapp.port, chain, infura, other, restart }
    }
    async function restart(): Promise<void> {
      await standIn.browser.close()
      await launch()
    }

    await launch()
    undo.push(() => standIn.browser.close())
    await standIn.wallet.configure({ leakUrl: infura.url, ...settings })
  })
  afterAll(async () => {
    for (const action of undo.splice(0).reverse()) await action()
  })

  return {
    get browser() {
      return standIn.browser
    },
    get wallet() {
      return standIn.wallet
    },
    get dappPort() {
      return standIn.dappPort
    },
    get chain() {
      return standIn.chain
    },
    get infura() {
      return standIn.infura
    },
    get other() {
      return standIn.other
    },
    restart: () => standIn.restart(),
  }
}

export interface RpcFailure {
  readonly code: number
  readonly message: string
}

/** What a provider of the page answers, or its error. */
export type RpcOutcome = { readonly result: unknown } | { readonly error: RpcFailure }

/** Asks a provider of the demo dapp. */
export function ask(page: Page, method: string, params?: unknown, provider = 'MetaMask'): Promise<RpcOutcome> {
  const request = [provider, method, params].map((part) => JSON.stringify(part) ?? 'undefined').join(', ')
  return page.evaluate<RpcOutcome>(
    `demo.request(${request}).then((result) => ({ result }), ({ code, message }) => ({ error: { code, message } }))`,
  )
}

/** The parameters that add a chain. */
export function chainParams(chainId: string, url: string, more: Record<string, unknown> = {}): readonly object[] {
  const nativeCurrency = { name: 'Ether', symbol: 'ETH', decimals: 18 }
  return [{ chainId, chainName: 'Private', nativeCurrency, rpcUrls: [url], ...more }]
}

export async function openDapp(standIn: StandIn, host: string): Promise<Page> {
  const page = await standIn.browser.context.newPage()
  await page.goto(`http://${host}/`)
  return page
}

/** A dapp that may see the first account. */
export async function openConnected(standIn: StandIn, host: string): Promise<Page> {
  const page = await openDapp(standIn, host)
  const connecting = ask(page, 'wallet_requestPermissions', [{ eth_accounts: {} }])
  await standIn.wallet.approve([0])
  await connecting
  return page
}

/** An endpoint that says it serves `chainId`. */
export async function withEndpoint(chainId: string, use: (endpoint: RpcEndpoint) => Promise<void>): Promise<void> {
  const endpoint = await startRpcEndpoint()
  endpoint.script = ({ method }) => (method === 'eth_chainId' ? { result: chainId } : undefined)
  try {
    await use(endpoint)
  } finally {
    await endpoint.close()
  }
}
