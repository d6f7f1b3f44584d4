/**
 * A stage with an Internet behind the exits: listed hosts are a local TLS server, which says who came from where. On the
 * browser's own, direct way each of the names leads to a trap instead, which counts whoever comes.
 */
import { createHash, X509Certificate } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { type Stage, type StageOptions, serveFolder } from '../../src/browser/index.ts'
import { type Backends, type Certificates, makeCertificates, startBackends } from '../../src/network/index.ts'

/** Hosts of the list that lead somewhere. */
export const infura = 'mainnet.infura.io'
export const accountsApi = 'accounts.api.cx.metamask.io'
/** Leads to a server that holds another key for its name. */
export const intercepted = 'sepolia.infura.io'
export const listed = [infura, accountsApi, intercepted] as const

/** Takes connections, and says nothing. */
export interface Trap {
  readonly port: number
  /** Connections so far. */
  readonly count: number
  close(): void
}

export async function startTrap(): Promise<Trap> {
  let count = 0
  const server = createServer((socket) => {
    count += 1
    socket.on('error', () => {})
    socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    get count() {
      return count
    },
    close: () => server.close(),
  }
}

export interface ShieldedInternet {
  readonly backends: Backends
  readonly interceptor: Backends
  readonly trap: Trap
  /** Certificates by an authority that the browser of the stage trusts for this one key, and no other. */
  readonly certificates: Certificates
  readonly stageOptions: StageOptions
  /** The page of `fetchers` by its address on loopback. */
  readonly pagesUrl: string
  /** Opens the page of `fetchers` (pages/fetcher.js) at `fetcherUrl`. */
  openFetcher(stage: Stage): Promise<Page>
  close(): Promise<void>
}

export const fetcherUrl = 'http://fetcher.example/fetcher.html'

export async function setShieldedInternet(more: StageOptions = {}): Promise<ShieldedInternet> {
  const folder = mkdtempSync(join(tmpdir(), 'nightjar-internet-'))
  const certificates = makeCertificates(folder, listed)
  const backends = await startBackends(certificates)
  const foreign = join(folder, 'foreign')
  mkdirSync(foreign)
  const interceptor = await startBackends(makeCertificates(foreign, listed))
  const trap = await startTrap()
  const pages = await serveFolder(join(import.meta.dirname, 'pages'))
  const trapped = Object.fromEntries(listed.map((name) => [name, trap.port]))
  return {
    backends,
    interceptor,
    trap,
    certificates,
    pagesUrl: `${pages.url}/fetcher.html`,
    stageOptions: {
      ...more,
      hosts: { ...trapped, 'fetcher.example': pages.port, ...more.hosts },
      browserArgs: [
        `--ignore-certificate-errors-spki-list=${keyHash(certificates.certFile)}`,
        // Service workers are for secure origins.
        '--unsafely-treat-insecure-origin-as-secure=http://fetcher.example',
        ...(more.browserArgs ?? []),
      ],
      network: {
        exitHosts: { [infura]: backends.port, [accountsApi]: backends.port, [intercepted]: interceptor.port },
        ...more.network,
      },
    },
    async openFetcher(stage) {
      const page = await stage.browser.context.newPage()
      await page.goto(fetcherUrl)
      return page
    },
    async close() {
      await backends.close()
      await interceptor.close()
      await pages.close()
      trap.close()
      rmSync(folder, { recursive: true })
    },
  }
}

/** SHA-256 of a certificate's public key, as Chromium's switch wants it. */
function keyHash(certFile: string): string {
  const { publicKey } = new X509Certificate(readFileSync(certFile))
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64')
}

/** What the page of `fetchers` read in the `way`. */
export function fetchIn(page: Page, way: string, url: string): Promise<string> {
  return page.evaluate(`fetchers[${JSON.stringify(way)}](${JSON.stringify(url)})`)
}

/** What the stand-in wallet's own service worker reads. */
export async function fetchInWallet(stage: Stage, url: string): Promise<string> {
  const worker = await stage.browser.serviceWorker('wallet')
  return worker.evaluate<string, string>(
    (url) =>
      fetch(url, { cache: 'no-store' }).then(
        (response) => response.text(),
        (error: Error) => `refused: ${error.name}`,
      ),
    url,
  )
}

/** What the stand-in wallet's own service worker hears on a WebSocket. */
export async function echoInWallet(stage: Stage, url: string): Promise<string> {
  const worker = await stage.browser.serviceWorker('wallet')
  return worker.evaluate<string, string>((url) => {
    // Runs in the wallet's service worker, which has the browser's.
    const { WebSocket: Socket } = globalThis as unknown as { WebSocket: typeof WebSocket }
    return new Promise<string>((resolve) => {
      const socket = new Socket(url)
      socket.onopen = () => socket.send('echo')
      socket.onmessage = ({ data }) => resolve(String(data))
      socket.onerror = () => resolve('refused')
    })
  }, url)
}
