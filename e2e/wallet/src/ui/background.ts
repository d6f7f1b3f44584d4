/** A page's line to the background: snapshots come on a port that is opened again when the service worker ends. */
import type { Command, Snapshot, UiPort } from '../ui.ts'

/** Chromium ends a worker that was idle for 30 seconds. */
const keepAlivePeriod = 20_000

export interface BackgroundListener {
  onSnapshot(snapshot: Snapshot): void
  /** The background asks the page to close itself. */
  onClose?(): void
  /** The service worker has ended. Without this the page connects to the next one. */
  onEnd?(): void
}

export function connect(name: UiPort, listener: BackgroundListener): void {
  const port = chrome.runtime.connect({ name })
  const timer = setInterval(() => port.postMessage('alive'), keepAlivePeriod)
  port.onMessage.addListener((message: { snapshot: Snapshot } | { close: true }) => {
    if ('snapshot' in message) listener.onSnapshot(message.snapshot)
    else listener.onClose?.()
  })
  port.onDisconnect.addListener(() => {
    clearInterval(timer)
    if (listener.onEnd === undefined) connect(name, listener)
    else listener.onEnd()
  })
}

export function send(command: Command): Promise<Snapshot> {
  return chrome.runtime.sendMessage(command)
}
