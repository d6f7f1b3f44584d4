/**
 * The optional permission to see what pages send. Asked for by the page, as the browser wants a click of the user's.
 * The gallery puts ui/testing/permission.ts in this module's place.
 */
import browser from 'webextension-polyfill'

/** The browser shows WebSockets only to those with access to their own schemes. */
const watching = { permissions: ['webRequest' as const], origins: ['ws://*/*', 'wss://*/*'] }

export async function allowWatching(): Promise<void> {
  await browser.permissions.request(watching)
}

export async function forbidWatching(): Promise<void> {
  await browser.permissions.remove(watching)
}
