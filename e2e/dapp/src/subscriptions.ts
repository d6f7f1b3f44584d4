/** Keeps the subscriptions of the page: `eth_subscribe`, and the pushes that come as `message` events. */
import type { Provider } from './providers.ts'

export interface Push {
  readonly subscription: string
  readonly result: unknown
}

export interface Subscriptions {
  subscribe(provider: Provider, kind: string, address: string): Promise<string>
  /** Ends all; what `eth_unsubscribe` answered for each. */
  unsubscribe(): Promise<readonly unknown[]>
}

interface Message {
  readonly type: string
  readonly data: Push
}

export function createSubscriptions(onPush: (push: Push) => void): Subscriptions {
  const active = new Map<string, Provider>()

  function onMessage({ type, data }: Message): void {
    if (type === 'eth_subscription') onPush(data)
  }

  return {
    async subscribe(provider, kind, address) {
      const filter = kind === 'logs' ? [address === '' ? {} : { address }] : []
      provider.removeListener('message', onMessage)
      provider.on('message', onMessage)
      const id = (await provider.request({ method: 'eth_subscribe', params: [kind, ...filter] })) as string
      active.set(id, provider)
      return id
    },
    unsubscribe() {
      const ended = [...active].map(([id, provider]) => provider.request({ method: 'eth_unsubscribe', params: [id] }))
      active.clear()
      return Promise.all(ended)
    },
  }
}
