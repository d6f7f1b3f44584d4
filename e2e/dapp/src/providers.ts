/** The providers of the page: those that announce themselves (EIP-6963), and `window.ethereum`. */

export interface Provider {
  request(args: { method: string; params?: unknown }): Promise<unknown>
  on(event: string, listener: (value: never) => void): unknown
  removeListener(event: string, listener: (value: never) => void): unknown
}

export const globalName = 'window.ethereum'

export interface Providers {
  readonly names: readonly string[]
  /** @throws Error where there is none of that name */
  find(name: string): Provider
}

type Announcement = CustomEvent<{ readonly info: { readonly name: string }; readonly provider: Provider }>

/** @param onChange called at once with the names that there are, and whenever there are more */
export function discoverProviders(onChange: (names: readonly string[]) => void): Providers {
  const announced = new Map<string, Provider>()
  const globalProvider = () => (window as { ethereum?: Provider }).ethereum
  const names = () => [...announced.keys(), ...(globalProvider() === undefined ? [] : [globalName])]
  window.addEventListener('eip6963:announceProvider', (event) => {
    const { info, provider } = (event as Announcement).detail
    announced.set(info.name, provider)
    onChange(names())
  })
  window.addEventListener('ethereum#initialized', () => onChange(names()))
  window.dispatchEvent(new Event('eip6963:requestProvider'))
  onChange(names())

  return {
    get names() {
      return names()
    },
    find(name) {
      const found = name === globalName ? globalProvider() : announced.get(name)
      if (found === undefined) throw new Error(`There is no provider "${name}".`)
      return found
    },
  }
}
