/** Firefox's `proxy.onRequest`, for the hosts of the list and those that the user blocked beside it. */
import { hostList } from '@nightjar/shared/shield'
import browser, { type Proxy as ProxyApi } from 'webextension-polyfill'
import { nowhere } from './decision.ts'
import { type ProxyAnswer, type ProxyRequests, socksAt } from './requestDoor.ts'

export interface WatchedRequests extends ProxyRequests {
  /** The background could not start, so nobody knows what was chosen. */
  close(): void
}

/**
 * To be called at the very beginning: only a listener of then is remembered by Firefox while it stops the background, and
 * over its own restarts. What the user added has to be known by then, which `storage` could tell only later.
 */
export function watchRequests(): WatchedRequests {
  const { promise: answering, resolve } = Promise.withResolvers<Parameters<ProxyRequests['answerBy']>[0]>()

  async function answer({ url }: ProxyApi.OnRequestDetailsType): Promise<ProxyAnswer | undefined> {
    try {
      return (await answering)(url)
    } catch (error) {
      // Firefox would take it for leave to send the request directly.
      console.error('Nightjar could not choose a proxy', error)
      return socksAt(nowhere.port)
    }
  }

  function watch(hosts: readonly string[]): void {
    // The star stands for http, https, ws and wss. With the dot of the root it is another host to Firefox.
    const urls = hosts.flatMap((host) => [`*://*.${host}/*`, `*://*.${host}./*`])
    // A function of its own each time, as one counts once.
    browser.proxy.onRequest.addListener((details) => answer(details), { urls })
  }

  const added = new Set<string>()
  /** One that stands here no longer stays watched until the next start, and is left alone. */
  function watchAdded(hosts: readonly string[]): void {
    for (const host of hosts) {
      if (added.has(host)) continue
      added.add(host)
      try {
        watch([host])
      } catch (error) {
        // Neither its name nor the error, which may repeat it: a log is no place for hosts.
        console.error('Firefox takes a host that was blocked for none', (error as Error).name)
      }
    }
  }

  watch(hostList.map(({ suffix }) => suffix))
  watchAdded(readAdded())
  return {
    answerBy: resolve,
    close: () => resolve(() => socksAt(nowhere.port)),
    cover(hosts) {
      localStorage.setItem(addedKey, hosts.join(' '))
      watchAdded(hosts)
    },
    areShown: () => browser.permissions.contains({ origins: ['*://*/*'] }),
    onChange(listener) {
      browser.permissions.onAdded.addListener(listener)
      browser.permissions.onRemoved.addListener(listener)
    },
  }
}

const addedKey = 'blocked'

function readAdded(): string[] {
  return localStorage.getItem(addedKey)?.split(' ').filter(Boolean) ?? []
}
