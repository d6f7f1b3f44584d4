/**
 * Tabs of the browser's first moments. Scripts that are registered at run time come into force a moment after the
 * browser's start, and a tab that it opens or restores before that has the wallet's bare provider. Such tabs are loaded
 * again, at most twice each; later the scripts are always there first.
 */
import { type Clock, second } from '@nightjar/shared/runtime'

export interface Tab {
  readonly id: number
  readonly url: string
}

export interface EarlyTabsOptions {
  readonly clock: Clock
  /** Open tabs that show a web page now, without those that were put to sleep. */
  open(): Promise<readonly Tab[]>
  /** Calls `listener` whenever a tab has loaded a web page; returns what ends that. */
  onLoaded(listener: (tab: Tab) => void): () => void
  /** Whether the content script is in the tab's page. */
  isCovered(tab: Tab): Promise<boolean>
  reload(tab: Tab): Promise<void>
  /** Whether Nightjar is on for the page. */
  isWanted(tab: Tab): boolean
}

/** How long after the start tabs are looked at. */
const watchedFor = 20 * second
const reloadsAtMost = 2

/** To be called once per start of the browser. */
export async function coverEarlyTabs(options: EarlyTabsOptions): Promise<void> {
  const reloads = new Map<number, number>()

  async function cover(tab: Tab): Promise<void> {
    const count = reloads.get(tab.id) ?? 0
    if (!options.isWanted(tab) || count >= reloadsAtMost || (await options.isCovered(tab))) return
    reloads.set(tab.id, count + 1)
    await options.reload(tab)
  }

  // A tab that is closed meanwhile needs nothing any more.
  const coverIfThere = (tab: Tab) => cover(tab).catch(() => undefined)
  const end = options.onLoaded((tab) => void coverIfThere(tab))
  options.clock.after(watchedFor, end)
  await Promise.all((await options.open()).map(coverIfThere))
}
