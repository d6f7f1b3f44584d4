/**
 * `window.ethereum`, and `window.web3` of old: whatever MetaMask puts there, the page finds the Proxy.
 *
 * Running first, we lay out an accessor that takes what is assigned, and until the page has loaded we look at what is
 * defined over it. Once MetaMask's provider is in place both are gone, and the property is as MetaMask meant it. Where
 * MetaMask was there before us, or comes late (it announces itself, or says `ethereum#initialized`), the property is
 * changed afterwards, and where that cannot be done, the methods of the provider itself. Out of reach is a frozen
 * provider in a property that nobody may change, if it was there before us.
 */
import type { Scope } from '../content/handshake.ts'
import type { Wallets } from './wallets.ts'

/** The functions that define properties, on the objects where wallets find them. */
export interface Definers {
  readonly Object: { defineProperty(target: object, key: PropertyKey, descriptor: PropertyDescriptor): unknown }
  readonly Reflect: { defineProperty(target: object, key: PropertyKey, descriptor: PropertyDescriptor): boolean }
}

type Key = 'ethereum' | 'web3'

const { apply, defineProperty, deleteProperty, get, getOwnPropertyDescriptor, set } = Reflect

export class Globals {
  readonly #window: Scope
  readonly #wallets: Wallets
  /** Our own getters, which show the Proxy already. */
  readonly #getters = new WeakSet<() => unknown>()
  /** Our Proxies of `window.web3`, by original and by Proxy. */
  readonly #web3 = new WeakMap<object, object>()
  #release = () => {}

  constructor(window: Scope, definers: Definers, wallets: Wallets) {
    this.#window = window
    this.#wallets = wallets
    if (getOwnPropertyDescriptor(window, 'ethereum') === undefined) this.#lieInWait(definers)
    else this.takeOver()
    window.addEventListener('ethereum#initialized', () => this.takeOver(), true)
    window.addEventListener('DOMContentLoaded', () => this.#release(), { capture: true, once: true })
  }

  /** Puts the Proxy in place of what is there. To be called whenever a wallet may have come. */
  takeOver(): void {
    this.#takeOver('ethereum')
    this.#takeOver('web3')
  }

  #takeOver(key: Key): void {
    const descriptor = getOwnPropertyDescriptor(this.#window, key)
    if (descriptor === undefined) return
    const shown = this.#shown(key, descriptor)
    if (shown === descriptor) return
    if (descriptor.configurable === true) defineProperty(this.#window, key, shown)
    else if (descriptor.writable === true) set(this.#window, key, shown.value)
    else lend(get(this.#window, key), this.#show(key, get(this.#window, key)))
  }

  #lieInWait(definers: Definers): void {
    const window = this.#window
    let held: unknown
    const getter = () => this.#show('ethereum', held)
    this.#getters.add(getter)
    const isWaiting = () => getOwnPropertyDescriptor(window, 'ethereum')?.get === getter
    defineProperty(window, 'ethereum', {
      get: getter,
      set: (value: unknown) => {
        held = value
        if (this.#show('ethereum', value) !== value) this.#release()
      },
      enumerable: true,
      configurable: true,
    })

    const define = (target: (...args: never[]) => unknown, self: unknown, args: unknown[]) => {
      const [object, key, descriptor] = args
      if (object !== window || key !== 'ethereum' || typeof descriptor !== 'object' || descriptor === null) {
        return apply(target, self, args)
      }
      // Out of the way, so that what the wallet leaves out of its descriptor means what it does on a bare window.
      if (isWaiting()) deleteProperty(window, 'ethereum')
      const shown = this.#shown('ethereum', descriptor)
      const result: unknown = apply(target, self, [object, key, shown])
      if (shown !== descriptor) this.#release()
      return result
    }
    const restore = [patch(definers.Object, define), patch(definers.Reflect, define)]

    this.#release = () => {
      this.#release = () => {}
      for (const one of restore) one()
      if (!isWaiting()) return
      const value = getter()
      if (value === undefined) deleteProperty(window, 'ethereum')
      else defineProperty(window, 'ethereum', { value, writable: true, enumerable: true, configurable: true })
    }
  }

  /** `descriptor`, or one that shows the Proxy instead. */
  #shown(key: Key, descriptor: PropertyDescriptor): PropertyDescriptor {
    if ('value' in descriptor) {
      const value = this.#show(key, descriptor.value)
      return value === descriptor.value ? descriptor : { ...descriptor, value }
    }
    const { get: theirs } = descriptor
    if (theirs === undefined || this.#getters.has(theirs)) return descriptor
    const ours = () => this.#show(key, apply(theirs, this.#window, []))
    this.#getters.add(ours)
    return { ...descriptor, get: ours }
  }

  #show(key: Key, value: unknown): unknown {
    return key === 'ethereum' ? this.#wallets.found(value) : this.#showWeb3(value)
  }

  /** MetaMask's `window.web3` has nothing but a `currentProvider`, and complains on the console when that is looked at. */
  #showWeb3(value: unknown): unknown {
    if (typeof value !== 'object' || value === null || !('__isMetaMaskShim__' in value)) return value
    const known = this.#web3.get(value)
    if (known !== undefined) return known
    const proxy = new Proxy(value, {
      get: (target, key) => {
        const member: unknown = get(target, key)
        return key === 'currentProvider' ? this.#wallets.found(member) : member
      },
    })
    this.#web3.set(value, proxy)
    this.#web3.set(proxy, proxy)
    return proxy
  }
}

type Define = (target: (...args: never[]) => unknown, self: unknown, args: unknown[]) => unknown

/** Replaces `holder.defineProperty` by one that looks the same. @returns what puts it back */
function patch(holder: Definers['Object'], define: Define): () => void {
  const original = holder.defineProperty
  const patched = new Proxy(original, { apply: define })
  holder.defineProperty = patched
  return () => {
    // Unless somebody else has patched it since: theirs calls ours, which lets everything through by now.
    if (holder.defineProperty === patched) holder.defineProperty = original
  }
}

/** Gives the wallet's own object the methods of its Proxy. */
function lend(original: unknown, proxy: unknown): void {
  if (typeof original !== 'object' || original === null || original === proxy) return
  for (const key of ['request', 'send', 'sendAsync']) {
    if (key in original) set(original, key, get(proxy as object, key))
  }
}
