/**
 * A Proxy in front of a wallet's provider, some members of which are ours. Everything else reaches the wallet's own
 * object, with that object as `this`, so that frozen providers and `#private` fields work; where a wallet hands out
 * itself (`on` returns its emitter) it is the Proxy again.
 *
 * The Proxy's target is a shadow that holds our members: with a frozen original as its target it could not answer
 * otherwise than that. Left out: a listener of the page is still called with the wallet's own object as `this`.
 */
const { apply, defineProperty, deleteProperty, get, getOwnPropertyDescriptor, getPrototypeOf, has, ownKeys, set } =
  Reflect
const { entries, hasOwn } = Object

type Callable = (...args: never[]) => unknown

/** @param members stand in for members of these names, where `original` has such functions */
export function standIn<Original extends object>(original: Original, members: Readonly<Record<string, Callable>>) {
  const shadow: Record<PropertyKey, unknown> = {}
  for (const [key, member] of entries(members)) {
    const theirs: unknown = get(original, key)
    // A Proxy of theirs, so that name, length and text are those of the wallet's function.
    if (isCallable(theirs))
      shadow[key] = new Proxy(theirs, { apply: (_, _self, args) => apply(member, undefined, args) })
  }

  const bound = new WeakMap<Callable, Callable>()
  const proxy: Original = new Proxy(shadow as Original, {
    get: (_, key) => read(key),
    set: (_, key, value) => set(hasOwn(shadow, key) ? shadow : original, key, value),
    has: (_, key) => has(original, key),
    ownKeys: () => ownKeys(original),
    deleteProperty: (_, key) => deleteProperty(original, key),
    defineProperty: (_, key, descriptor) => defineProperty(hasOwn(shadow, key) ? shadow : original, key, descriptor),
    getOwnPropertyDescriptor(_, key) {
      const own = getOwnPropertyDescriptor(original, key)
      if (own === undefined) return undefined
      return { value: read(key), writable: true, enumerable: own.enumerable ?? false, configurable: true }
    },
    getPrototypeOf: () => getPrototypeOf(original),
    preventExtensions: () => false,
  })
  return proxy

  function read(key: PropertyKey): unknown {
    if (hasOwn(shadow, key)) return shadow[key]
    const value: unknown = get(original, key)
    return isCallable(value) ? bind(value) : value
  }

  /** `method` bound to the original: the same function each time, so that the page may compare. */
  function bind(method: Callable): Callable {
    const known = bound.get(method)
    if (known !== undefined) return known
    const fresh = new Proxy(method, {
      apply(_, _self, args) {
        const result: unknown = apply(method, original, args)
        return result === original ? proxy : result
      },
    })
    bound.set(method, fresh)
    return fresh
  }
}

function isCallable(value: unknown): value is Callable {
  return typeof value === 'function'
}
