/** The background as pages see it. The gallery puts testing/background.ts in this module's place. */
import browser from 'webextension-polyfill'
import { uiPort } from '../messages/ui.ts'
import { type Background, openConnection, type View } from './connection.ts'

export type { Background, View } from './connection.ts'

/** Calls `show` now and whenever there is something new to show. */
export function watchBackground(show: (view: View) => void): Background {
  return openConnection({ connect: () => browser.runtime.connect({ name: uiPort }), clock: { after }, show })
}

function after(delay: number, action: () => void) {
  const timer = setTimeout(action, delay)
  return { cancel: () => clearTimeout(timer) }
}
