/**
 * Everything that a user has, on one machine: a private network, a browser with Nightjar and a wallet, the native
 * program installed for it, and a dapp. `npm start` shows it to people, the tests drive it.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { freePorts, type LocalNetwork, type LocalNetworkOptions, startLocalNetwork } from '../network/index.ts'
import { distFolder } from '../network/programs.ts'
import { type Provider, startProvider } from '../network/provider.ts'
import { type Browser, keepExtensions, launchBrowser } from './browser.ts'
import { extensionIds } from './ids.ts'
import { driveNightjar, type NightjarExtension, openWalletWhenAsked, untilPopup } from './nightjar.ts'
import { type StaticServer, serveFolder } from './staticServer.ts'
import { driveWallet, type Wallet } from './wallet.ts'

export interface StageOptions {
  readonly network?: LocalNetworkOptions
  readonly headless?: boolean
  /** Without the stand-in wallet. */
  readonly withoutWallet?: boolean
  /** Without `nightjar install`. */
  readonly withoutHost?: boolean
  /** Milliseconds between two polls of the wallet's home page. */
  readonly pollPeriod?: number
  /** More hosts, by port, beside dapp.example. */
  readonly hosts?: Readonly<Record<string, number>>
  /** See BrowserOptions. */
  readonly isEnclosed?: boolean
  /** More switches of the browser, and more of its environment. */
  readonly browserArgs?: readonly string[]
  readonly browserEnv?: Readonly<Record<string, string>>
  /** Folders of more unpacked extensions. */
  readonly extensions?: readonly string[]
  readonly onStep?: (step: string) => void
}

export interface Stage {
  readonly network: LocalNetwork
  /** What stands for Infura: who asks here was not private. Undefined without the wallet. */
  readonly leak: Provider | undefined
  readonly browser: Browser
  readonly nightjar: NightjarExtension
  readonly wallet: Wallet
  readonly dapp: StaticServer
  readonly userDataDir: string
  /** `nightjar install` for this browser. */
  install(): Promise<void>
  /** Ends the browser and starts it again with the same profile, with `more` switches or pages to open. */
  restartBrowser(...more: readonly string[]): Promise<void>
  /** Another browser, with a fresh profile. */
  replaceBrowser(): Promise<void>
  stop(): Promise<void>
}

/** The demo dapp's address in the browser. */
export const dappUrl = 'http://dapp.example/'

export async function setStage(options: StageOptions = {}): Promise<Stage> {
  const step = options.onStep ?? (() => {})
  const undo: (() => Promise<unknown>)[] = []
  const stop = async () => {
    for (const action of undo.splice(0).reverse()) await action()
  }
  try {
    const network = await startLocalNetwork({
      wallets: [extensionIds.wallet],
      // The wallet keeps what it was given, so a daemon that is started again must be found at the same port.
      endpointPort: (await freePorts('127.0.0.1', 1))[0] as number,
      ...(options.onStep === undefined ? {} : { onStep: options.onStep }),
      ...options.network,
    })
    undo.push(() => network.stop())
    // A killed daemon was started again by the browser's side; this ends whichever runs now.
    undo.push(() => network.daemon.run('stop'))
    const dapp = await serveFolder(join(distFolder(), 'dapp'))
    undo.push(() => dapp.close())
    const leak =
      options.withoutWallet === true ? undefined : await startProvider(Object.values(network.nodes)[0] as string)
    if (leak !== undefined) undo.push(() => leak.close())

    let userDataDir = ''
    const dropProfile = () => rm(userDataDir, { recursive: true, force: true })
    const install = async () => {
      const { code, stdout, stderr } = await network.daemon.run(
        ...['install', '--browser', 'chromium', '--user-data-dir', userDataDir],
      )
      if (code !== 0) throw new Error(`nightjar install failed:\n${stdout}${stderr}`)
    }
    const parts = options.withoutWallet === true ? ['extension'] : ['extension', 'wallet']
    const folders = [...parts.map((part) => join(distFolder(), part)), ...(options.extensions ?? [])]
    const launch = (extensions: readonly string[], ...more: readonly string[]) =>
      launchBrowser({
        extensions,
        userDataDir,
        headless: options.headless ?? true,
        hostRules: { 'dapp.example': dapp.port, ...options.hosts },
        isEnclosed: options.isEnclosed ?? false,
        args: [...(options.browserArgs ?? []), ...more],
        env: options.browserEnv ?? {},
      })
    /** A browser with a profile of its own, in which nobody has clicked anything yet. */
    const launchFresh = async () => {
      userDataDir = await mkdtemp(join(tmpdir(), 'nightjar-browser-'))
      if (options.withoutHost !== true) await install()
      const fresh = await launch(folders)
      if (leak !== undefined) {
        await driveWallet(fresh).configure({ leakUrl: leak.url, pollPeriod: options.pollPeriod ?? 15_000 })
      }
      await driveNightjar(fresh).configure({ wallet: extensionIds.wallet, trust: network.relays.trust })
      return fresh
    }
    step('installing the native program for the browser, and starting it')
    undo.push(dropProfile)
    let browser = await launchFresh()
    undo.push(() => browser.close())
    return {
      network,
      leak,
      get browser() {
        return browser
      },
      get nightjar() {
        return driveNightjar(browser)
      },
      get wallet() {
        return driveWallet(browser)
      },
      get userDataDir() {
        return userDataDir
      },
      dapp,
      install,
      async restartBrowser(...more) {
        await browser.close()
        await keepExtensions(userDataDir)
        browser = await launch([], ...more)
      },
      async replaceBrowser() {
        await browser.close()
        await dropProfile()
        browser = await launchFresh()
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** The user's way from Off to Private: one click, the wallet's dialogs for both chains, the wallet's window. */
export async function goPrivate(stage: Stage): Promise<{ popup: Page; clickToDialogMs: number }> {
  const popup = await stage.nightjar.openPopup()
  const begun = performance.now()
  await popup.getByRole('button', { name: 'Go private' }).click()
  // The dialogs of the chain that the wallet knows, and of the one it does not.
  await stage.wallet.prompt()
  const clickToDialogMs = performance.now() - begun
  await stage.wallet.approve()
  await stage.wallet.approve()
  const home = await openWalletWhenAsked(popup, stage.wallet)
  await untilPopup(popup, 'Private')
  await home.close()
  return { popup, clickToDialogMs }
}
