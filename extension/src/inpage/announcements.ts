/**
 * EIP-6963: providers that announce themselves to the page, each time it asks for them.
 *
 * We listen before anybody else. An announcement of MetaMask is stopped and made again with the Proxy in it; of other
 * wallets we take note. A page may announce what it likes: what it calls `io.metamask` is put behind a Proxy as well,
 * which costs nobody but the page anything, while telling real from forged is not possible here.
 */
import type { Scope } from '../content/handshake.ts'
import type { Wallets } from './wallets.ts'

const announceProvider = 'eip6963:announceProvider'
const requestProvider = 'eip6963:requestProvider'

export interface ProviderInfo {
  /** Version 4, fresh for each load of the page. */
  readonly uuid: string
  readonly name: string
  /** A `data:` URI. */
  readonly icon: string
  readonly rdns: string
}

interface Detail {
  readonly info?: { readonly rdns?: unknown }
  readonly provider?: unknown
}

/** @param onWallet told after each announcement, before the page hears of it */
export function wrapAnnouncements(scope: Scope, wallets: Wallets, onWallet: () => void): void {
  const ours = new WeakSet<Event>()
  scope.addEventListener(
    announceProvider,
    (event) => {
      const detail = (event as CustomEvent<Detail | null>).detail
      if (ours.has(event) || typeof detail !== 'object' || detail === null) return
      const { info, provider } = detail
      const shown = wallets.announced(info?.rdns, provider)
      onWallet()
      if (shown === provider) return
      event.stopImmediatePropagation()
      const again = announcement({ info, provider: shown })
      ours.add(again)
      scope.dispatchEvent(again)
    },
    true,
  )
}

/** Announces `provider` now and whenever the page asks. */
export function announce(scope: Scope, info: ProviderInfo, provider: object): void {
  const detail = Object.freeze({ info: Object.freeze(info), provider })
  const say = () => scope.dispatchEvent(announcement(detail))
  scope.addEventListener(requestProvider, say)
  say()
}

/** Asks all wallets to announce themselves, which they do before this returns. */
export function requestAnnouncements(scope: Scope): void {
  scope.dispatchEvent(new Event(requestProvider))
}

function announcement(detail: object): Event {
  return new CustomEvent(announceProvider, { detail: Object.freeze(detail) })
}

/** A UUID of version 4 (RFC 9562) from 16 random bytes. `crypto.randomUUID` is missing on pages without TLS. */
export function uuid(random: Uint8Array): string {
  const hex = Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('')
  const variant = '89ab'.charAt(Number.parseInt(hex.charAt(16), 16) & 3)
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, variant + hex.slice(17, 20), hex.slice(20)].join(
    '-',
  )
}
