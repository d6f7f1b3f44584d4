/**
 * The content script: carries messages between the page's provider and the background. Requests that were under way
 * when the service worker ended are sent again to the next one, as MetaMask does.
 */

import type { RpcMessage } from './stream.ts'
import { contentName, type Envelope, inpageName, isEnvelope, openPageStream, providerChannel } from './stream.ts'

const underWay = new Map<number | string, RpcMessage>()
let port: chrome.runtime.Port | undefined

const sendToPage = openPageStream(contentName, inpageName, (message) => {
  if (message.id !== undefined) underWay.set(message.id, message)
  sendToBackground(message)
})

function sendToBackground(data: RpcMessage): void {
  port ??= connect()
  port.postMessage({ name: providerChannel, data } satisfies Envelope)
}

function connect(): chrome.runtime.Port {
  const opened = chrome.runtime.connect({ name: contentName })
  opened.onMessage.addListener((message: unknown) => {
    if (!isEnvelope(message)) return
    const { data } = message
    if (data.id !== undefined) underWay.delete(data.id)
    sendToPage(data)
  })
  opened.onDisconnect.addListener(() => {
    // Read, or the browser complains to the page's console: a worker that is just ending receives nobody.
    void chrome.runtime.lastError
    port = undefined
    for (const message of underWay.values()) sendToBackground(message)
  })
  return opened
}

/** A service worker that has just started asks for the ports of all pages, to tell them of changes. */
chrome.runtime.onMessage.addListener((message: unknown) => {
  if ((message as { name?: unknown } | null)?.name === 'METAMASK_EXTENSION_READY') port ??= connect()
})
