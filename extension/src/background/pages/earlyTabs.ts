/**
 * Tabs of the browser's first moments. Scripts that are registered at run time come into force a moment after the
 * browser's start, and a tab that it opens or restores before that has the wallet's bare provider. Such tabs are loaded
 * again; later the scripts are always there first. Looked for at times, because the browser's events of these first
 * moments do not tell of every tab.
 */
import { type Clock, millisecond, pause, second } from '@nightjar/shared/runtime'

export interface Tab {
  readonly id: number
  readonly url: string
}

export interface EarlyTabsOptions {
  readonly clock: Clock
  /** Open tabs that have loaded a web page, without those that were put to sleep. */
  open(): Promise<readonly Tab[]>
  /** Whether the content script is in the tab's page. */
  isCovered(tab: Tab): Promise<boolean>
  reload(tab: Tab): Promise<void>
  /** Whether Nightjar is on for the page. */
  isWanted(tab: Tab): boolean
}

const reloadsAtMost = 2
const firstPause = 125 * millisecond
/** How long after the browser's start tabs are looked at. */
export const watchedFor = 20 * second

/** To be called when the service worker starts, within `watchedFor` of the browser's start. */
export async function coverEarlyTabs(options: EarlyTabsOptions): Promise<void> {
  const { clock } = options
  const until = clock.now() + watchedFor
  const reloads = new Map<string, number>()

  async function cover(tab: Tab): Promise<void> {
    const page = `${tab.id} ${tab.url}`
    const count = reloads.get(page) ?? 0
    // A page that cannot have the script, such as an error page, is not loaded again and again.
    if (count >= reloadsAtMost || !options.isWanted(tab) || (await options.isCovered(tab))) return
    reloads.set(page, count + 1)
    await options.reload(tab)
  }

  for (let wait = firstPause; clock.now() < until; wait *= 2) {
    // A tab that is closed meanwhile needs nothing any more.
    for (const tab of await options.open()) await cover(tab).catch(() => undefined)
    await pause(clock, wait)
  }
}
