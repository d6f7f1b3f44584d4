/**
 * Whether the active tab was opened before Nightjar was on: its content bridge would answer a ping. Works without the
 * `tabs` permission: access to a site is what shows its address, and without that there is nothing to say about a tab.
 * The gallery puts ui/testing/tab.ts in this module's place.
 */
import browser from 'webextension-polyfill'

/** Id of the active tab, if it is a web page that Nightjar is not on. */
export async function uncoveredTab(): Promise<number | undefined> {
  const [tab] = await browser.tabs.query({ active: true, currentWindow: true })
  if (tab?.id === undefined || !/^https?:/.test(tab.url ?? '')) return undefined
  return (await isCovered(tab.id)) ? undefined : tab.id
}

async function isCovered(tab: number): Promise<boolean> {
  try {
    const answer: unknown = await browser.tabs.sendMessage(tab, { ping: true }, { frameId: 0 })
    return typeof answer === 'object' && answer !== null && 'covered' in answer && answer.covered === true
  } catch {
    // Nobody listens there, which is the answer.
    return false
  }
}

export async function reloadTab(tab: number): Promise<void> {
  await browser.tabs.reload(tab)
}
