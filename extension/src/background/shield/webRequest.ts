/** What pages send, as the browser shows it once the user granted `webRequest` (an optional permission). */
import browser, { type WebRequest } from 'webextension-polyfill'
import type { PageRequests, SeenRequest } from './leakWatch.ts'

const filter: WebRequest.RequestFilter = {
  urls: ['http://*/*', 'https://*/*', 'ws://*/*', 'wss://*/*'],
  types: ['xmlhttprequest', 'ping', 'websocket', 'other'],
}

export const pageRequests: PageRequests = {
  // Without the permission the browser leaves the whole interface out.
  get areShown() {
    return (browser.webRequest as typeof browser.webRequest | undefined) !== undefined
  },
  watch(see) {
    const listener = (details: WebRequest.OnBeforeRequestDetailsType) => {
      see(seenOf(details))
      return undefined
    }
    browser.webRequest.onBeforeRequest.addListener(listener, filter, ['requestBody'])
    // It may have been taken back meanwhile.
    return () => pageRequests.areShown && browser.webRequest.onBeforeRequest.removeListener(listener)
  },
  onChange(listener) {
    browser.permissions.onAdded.addListener(listener)
    browser.permissions.onRemoved.addListener(listener)
  },
}

function seenOf(details: WebRequest.OnBeforeRequestDetailsType): SeenRequest {
  // Chromium's name for what Firefox calls originUrl.
  const { initiator } = details as { readonly initiator?: string }
  const pieces = details.requestBody?.raw ?? []
  const body = pieces.flatMap(({ bytes }) => (bytes instanceof ArrayBuffer ? [bytes] : []))
  return { url: details.url, method: details.method, initiator: initiator ?? details.originUrl, body }
}
