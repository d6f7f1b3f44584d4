/**
 * Isolation groups: which requests may be seen together. A group is the site of the tab's address bar, as the browser
 * says it; a framed site belongs to the site that frames it and is thereby kept apart from itself elsewhere. The daemon
 * gets a label that says nothing about the site.
 */
import { hex, utf8 } from '@nightjar/shared/bytes'
import type { Crypto } from '@nightjar/shared/crypto'

/** What the browser says of the other end of a port, as far as it is used. */
export interface PageSender {
  readonly id?: string | undefined
  readonly frameId?: number | undefined
  readonly url?: string | undefined
  /** Of the frame, also where its URL is `about:blank`. */
  readonly origin?: string | undefined
  readonly documentLifecycle?: string | undefined
  readonly tab?: { readonly url?: string | undefined } | undefined
}

/** The origin of the top-level page that `sender` is part of; undefined where it is no web page. */
export function topOriginOf(sender: PageSender): string | undefined {
  // What is not what its tab shows (prerendered, or left behind in a cache) would be taken for a part of that.
  if (sender.tab === undefined || (sender.documentLifecycle ?? 'active') !== 'active') return undefined
  const url = sender.frameId === 0 ? sender.url : sender.tab.url
  return url === undefined ? undefined : webOrigin(url)
}

/** The origin of the frame itself, which a site that frames it may have nothing to do with. */
export function frameOriginOf({ origin, url }: PageSender): string | undefined {
  return webOrigin(origin ?? url ?? '')
}

function webOrigin(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined
  const { protocol, origin } = new URL(url)
  return protocol === 'http:' || protocol === 'https:' ? origin : undefined
}

/** From what the times and secrets of watches are made (shared/accounts, `keyed`): lasting, so that a restart does not show. */
export function watchKey(crypto: Crypto, secret: Uint8Array, name: string): Uint8Array {
  return crypto.hash.hmac(secret, utf8(`watch\0${name}`))
}

/** HMAC-SHA256 of the group under the extension's secret, in hexadecimal. */
export function groupLabel(crypto: Crypto, secret: Uint8Array, group: string): string {
  return hex(crypto.hash.hmac(secret, utf8(`isolation group\0${group}`)))
}
