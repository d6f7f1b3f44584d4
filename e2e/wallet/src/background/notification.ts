/** The window in which the user is asked: opened when there is something to ask, closed when there is no more. */

export interface Notification {
  /** To be called whenever what is to be asked has changed. */
  refresh(): void
  attach(port: chrome.runtime.Port): void
}

export interface NotificationInit {
  readonly isNeeded: () => boolean
  /** The user closed the window instead of answering. */
  readonly onClosed: () => void
}

const page = 'notification.html'
const size = { width: 380, height: 640 }

export function createNotification({ isNeeded, onClosed }: NotificationInit): Notification {
  const open = new Set<chrome.runtime.Port>()
  /** Told to close; what is asked from then on needs another window. */
  const closing = new Set<chrome.runtime.Port>()
  let isOpening = false

  function refresh(): void {
    if (!isNeeded()) {
      for (const port of open) {
        closing.add(port)
        port.postMessage({ close: true })
      }
      open.clear()
    } else if (open.size === 0 && closing.size === 0 && !isOpening) {
      isOpening = true
      void chrome.windows.create({ url: chrome.runtime.getURL(page), type: 'popup', focused: true, ...size })
    }
  }

  return {
    refresh,
    attach(port) {
      isOpening = false
      open.add(port)
      port.onDisconnect.addListener(() => {
        const wasTold = closing.delete(port)
        if (open.delete(port) && open.size === 0) onClosed()
        if (wasTold) refresh()
      })
      refresh()
    },
  }
}
