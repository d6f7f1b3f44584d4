/**
 * The leak report, for those who granted webRequest: requests of pages that look like JSON-RPC of a chain and go to a
 * host that is not listed. Kept is how often which site asked which host, until the browser ends; nothing of what was
 * asked. The browser shows no requests of other extensions, so none of the wallet's.
 *
 * Left out: addresses instead of names, which are mostly a node of the user's own and cannot be blocked by name.
 */

import { type Clock, second, type Timer } from '@nightjar/shared/runtime'
import { normaliseHost } from '@nightjar/shared/shield'
import type { Leak } from '../../messages/ui.ts'
import type { Session } from '../session.ts'

/** A request that a page is about to send, as `webRequest.onBeforeRequest` tells it. */
export interface SeenRequest {
  readonly url: string
  readonly method: string
  /** Origin of the page; undefined where it is not known. */
  readonly initiator?: string | undefined
  /** Pieces of the body. */
  readonly body: readonly ArrayBuffer[]
}

/** What pages send, for as long as the user allows that it is looked at. */
export interface PageRequests {
  readonly areShown: boolean
  /** Until the end of what it returns. */
  watch(see: (request: SeenRequest) => void): () => void
  /** The user allowed it, or took it back. */
  onChange(listener: () => void): void
}

export interface LeakWatchOptions {
  readonly clock: Clock
  readonly session: Session
  /** Whether the shield decides on the host. */
  isKnown(host: string): boolean
  onChange(): void
}

/** Of a body: methods stand at its beginning, and pages can send as much as they like. */
const readAtMost = 16 * 1024
const mostLeaks = 100
/** Pages can ask without end; what they do is written down and shown at this pace. */
const tellEvery = 1 * second

export class LeakWatch {
  readonly #options: LeakWatchOptions
  readonly #leaks: Map<string, Leak>
  #timer: Timer | undefined

  constructor(options: LeakWatchOptions) {
    this.#options = options
    this.#leaks = new Map(options.session.state.leaks.map((leak) => [keyOf(leak), leak]))
  }

  take(request: SeenRequest): void {
    const { protocol, hostname, pathname } = new URL(request.url)
    const host = normaliseHost(hostname)
    if (host === undefined || this.#options.isKnown(host)) return
    const isSocket = protocol === 'ws:' || protocol === 'wss:'
    if (isSocket ? !looksLikeNode(host, pathname) : request.method !== 'POST' || !asksChain(request.body)) return
    this.#note(host, siteOf(request.initiator))
  }

  forget(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#leaks.clear()
    this.#tell()
  }

  #note(host: string, site: string): void {
    const { clock } = this.#options
    const key = keyOf({ host, site })
    const count = (this.#leaks.get(key)?.count ?? 0) + 1
    // Put at the end: the first is then the one that was seen longest ago.
    this.#leaks.delete(key)
    if (this.#leaks.size >= mostLeaks) this.#makeRoom()
    this.#leaks.set(key, { host, site, count, last: clock.now() })
    this.#timer ??= clock.after(tellEvery, () => {
      this.#timer = undefined
      this.#tell()
    })
  }

  /** The oldest of the site that has most, or one site could drive out all others. */
  #makeRoom(): void {
    const bySite = Map.groupBy(this.#leaks.entries(), ([, { site }]) => site)
    const most = [...bySite.values()].reduce((best, each) => (each.length > best.length ? each : best))
    const [oldest] = most
    if (oldest !== undefined) this.#leaks.delete(oldest[0])
  }

  #tell(): void {
    this.#options.session.change({ leaks: [...this.#leaks.values()] })
    this.#options.onChange()
  }
}

function keyOf({ host, site }: Pick<Leak, 'host' | 'site'>): string {
  return `${host} ${site}`
}

function siteOf(initiator: string | undefined): string {
  return URL.canParse(initiator ?? '') ? new URL(initiator ?? '').hostname : ''
}

/** Whether the body is JSON-RPC with a method of a chain; a batch, too. */
export function asksChain(body: readonly ArrayBuffer[]): boolean {
  const decoder = new TextDecoder()
  let text = ''
  for (const piece of body) {
    if (text.length >= readAtMost) break
    text += decoder.decode(piece.slice(0, readAtMost - text.length))
  }
  return /"jsonrpc"\s{0,9}:\s{0,9}"2\.0"/.test(text) && /"method"\s{0,9}:\s{0,9}"(?:eth|net|web3)_[a-zA-Z]/.test(text)
}

const nodeWords = new Set(['rpc', 'node', 'nodes', 'eth', 'ethereum', 'mainnet', 'testnet', 'sepolia', 'web3', 'wss'])

/** What a socket carries is not shown; names and keys in paths are what providers have in common. */
export function looksLikeNode(host: string, path: string): boolean {
  return (
    host.split(/[.-]/).some((word) => nodeWords.has(word)) ||
    /\/v\d\/[\w-]{16,}$|\/(?:ws\/)?v\d$|\/rpc(?:\/|$)/.test(path)
  )
}
