/**
 * `wallet_addEthereumChain` (EIP-3085) and `wallet_switchEthereumChain` (EIP-3326), with the checks of MetaMask, their
 * order and their wording.
 */
import type { Hex } from 'viem'
import { invalidParams, unknownChain } from '../rpcError.ts'
import type { Network } from '../ui.ts'
import type { Permissions } from './permissions.ts'
import type { Prompts } from './prompts.ts'
import { defaultUrl, type Store } from './store.ts'

export interface Networks {
  add(origin: string, params: unknown): Promise<null>
  switch(origin: string, params: unknown): Promise<null>
  /** What the user does in the settings. */
  useEndpoint(chainId: Hex, index: number): Promise<void>
}

interface Wanted {
  readonly chainId: Hex
  readonly name: string
  readonly symbol: string
  readonly url: string
}

const addMethod = 'wallet_addEthereumChain'
const switchMethod = 'wallet_switchEthereumChain'

export function createNetworks(store: Store, prompts: Prompts, permissions: Permissions): Networks {
  return {
    async add(origin, params) {
      const wanted = parseAddition(params)
      const known = (await store.read()).networks[wanted.chainId]
      if (known !== undefined && known.symbol !== wanted.symbol) {
        throw invalidParams(
          'nativeCurrency.symbol does not match currency symbol for a network the user already has added ' +
            `with the same chainId. Received:\n${wanted.symbol}`,
        )
      }
      if (known !== undefined && isSameUrl(defaultUrl(known), wanted.url)) {
        if (await permissions.mayUseChain(origin, wanted.chainId)) await permissions.useChain(origin, wanted.chainId)
        return null
      }
      const knownAs = known === undefined ? {} : { knownAs: known.name }
      await prompts.ask(origin, addMethod, { kind: 'add-network', ...wanted, ...knownAs })
      await store.update((state) => ({
        ...state,
        networks: { ...state.networks, [wanted.chainId]: withEndpoint(state.networks[wanted.chainId], wanted) },
      }))
      await permissions.useChain(origin, wanted.chainId)
      return null
    },

    async switch(origin, params) {
      const chainId = parseSwitch(params)
      const network = (await store.read()).networks[chainId]
      if (network === undefined) throw unknownChain(chainId)
      if (!(await permissions.mayUseChain(origin, chainId))) {
        await prompts.ask(origin, switchMethod, { kind: 'switch-network', chainId, name: network.name })
      }
      await permissions.useChain(origin, chainId)
      return null
    },

    async useEndpoint(chainId, index) {
      await store.update((state) => {
        const network = state.networks[chainId]
        if (network?.endpoints[index] === undefined) return state
        return { ...state, networks: { ...state.networks, [chainId]: { ...network, defaultEndpoint: index } } }
      })
    },
  }
}

/** The wanted URL is used from now on; what was there before stays in the list. */
function withEndpoint(known: Network | undefined, { chainId, name, symbol, url }: Wanted): Network {
  if (known === undefined) return { chainId, name, symbol, endpoints: [{ name, url }], defaultEndpoint: 0 }
  const index = known.endpoints.findIndex((endpoint) => isSameUrl(endpoint.url, url))
  if (index !== -1) return { ...known, defaultEndpoint: index }
  return { ...known, endpoints: [...known.endpoints, { name, url }], defaultEndpoint: known.endpoints.length }
}

function isSameUrl(a: string, b: string): boolean {
  return new URL(a).href === new URL(b).href
}

const additionKeys = ['chainId', 'chainName', 'blockExplorerUrls', 'nativeCurrency', 'rpcUrls', 'iconUrls']

/** @throws RpcError -32602 */
function parseAddition(params: unknown): Wanted {
  const { chainId, chainName, nativeCurrency, rpcUrls } = parseObject(params, additionKeys)
  const validChainId = parseChainId(chainId)
  const url = Array.isArray(rpcUrls) ? rpcUrls.find(isLocalhostOrHttps) : undefined
  if (url === undefined) {
    throw invalidParams(
      `Expected an array with at least one valid string HTTPS url 'rpcUrls', Received:\n${String(rpcUrls)}`,
    )
  }
  if (typeof chainName !== 'string' || chainName === '') {
    throw invalidParams(`Expected non-empty string 'chainName'. Received:\n${String(chainName)}`)
  }
  return { chainId: validChainId, name: chainName.slice(0, 100), symbol: parseSymbol(nativeCurrency), url }
}

function parseSymbol(currency: unknown): string {
  if (currency === null) return 'UNKNOWN'
  if (typeof currency !== 'object' || Array.isArray(currency)) {
    throw invalidParams(`Expected null or object 'nativeCurrency'. Received:\n${String(currency)}`)
  }
  const { decimals, symbol } = currency as { decimals?: unknown; symbol?: unknown }
  if (decimals !== 18) {
    throw invalidParams(
      "Expected the number 18 for 'nativeCurrency.decimals' when 'nativeCurrency' is provided. " +
        `Received: ${String(decimals)}`,
    )
  }
  if (typeof symbol !== 'string' || symbol === '') {
    throw invalidParams(`Expected a string 'nativeCurrency.symbol'. Received: ${String(symbol)}`)
  }
  if (symbol.length > 6) {
    throw invalidParams(`Expected 1-6 character string 'nativeCurrency.symbol'. Received:\n${symbol}`)
  }
  return symbol
}

/** Which plain http is let through is decided by the name alone; whether anything answers there is found out later. */
function isLocalhostOrHttps(url: unknown): url is string {
  if (typeof url !== 'string' || !URL.canParse(url)) return false
  const { hostname, protocol } = new URL(url)
  return hostname === 'localhost' || hostname === '127.0.0.1' || protocol === 'https:'
}

function parseSwitch(params: unknown): Hex {
  return parseChainId(parseObject(params, ['chainId']).chainId)
}

function parseObject(params: unknown, keys: readonly string[]): Readonly<Record<string, unknown>> {
  const value: unknown = Array.isArray(params) ? params[0] : undefined
  if (typeof value !== 'object' || value === null) {
    throw invalidParams(`Expected single, object parameter. Received:\n${JSON.stringify(params)}`)
  }
  const others = Object.keys(value).filter((key) => !keys.includes(key))
  if (others.length > 0) {
    throw invalidParams(`Received unexpected keys on object parameter. Unsupported keys:\n${others}`)
  }
  return value as Record<string, unknown>
}

function parseChainId(value: unknown): Hex {
  const chainId = typeof value === 'string' ? value.toLowerCase() : ''
  if (!/^0x[1-9a-f][0-9a-f]*$/.test(chainId) || !Number.isSafeInteger(Number(chainId))) {
    throw invalidParams(
      `Expected 0x-prefixed, unpadded, non-zero hexadecimal string 'chainId'. Received:\n${String(value)}`,
    )
  }
  return chainId as Hex
}
