import { EventEmitter } from 'node:events'
import { describe, expect, test } from 'vitest'
import { standIn } from './standIn.ts'

class Original extends EventEmitter {
  #secret = 'kept'
  readonly own = 'value'

  get secret() {
    return this.#secret
  }

  reveal(): string {
    return this.#secret
  }

  request(): string {
    return 'theirs'
  }

  itself() {
    return this
  }
}

const members = { request: () => 'ours' }

describe.each([
  ['an ordinary object', () => new Original()],
  ['a frozen object', () => Object.freeze(new Original())],
  ['a Proxy, as MetaMask has', () => new Proxy(new Original(), { get: (target, key) => Reflect.get(target, key) })],
])('in front of %s', (_, create) => {
  test('our members are ours, all else is the original’s, getters of #private fields included', () => {
    const proxy = standIn(create(), members)
    expect(proxy.request()).toBe('ours')
    expect(proxy.secret).toBe('kept')
    expect(proxy.own).toBe('value')
  })

  test('what hands out itself hands out the Proxy', () => {
    const proxy = standIn(create(), members)
    expect(proxy.itself()).toBe(proxy)
  })

  test('functions are the same each time they are read', () => {
    const proxy = standIn(create(), members)
    expect(proxy.reveal).toBe(proxy.reveal)
    expect(proxy.request).toBe(proxy.request)
  })

  test('it looks like the original to whoever lists, tests and describes it', () => {
    const original = create()
    const proxy = standIn(original, members)
    expect(Reflect.ownKeys(proxy)).toEqual(Reflect.ownKeys(original))
    expect('reveal' in proxy && !('other' in proxy)).toBe(true)
    expect(proxy).toBeInstanceOf(Original)
    expect(Object.getOwnPropertyDescriptor(proxy, 'own')).toMatchObject({ value: 'value', enumerable: true })
    expect(Object.getOwnPropertyDescriptor(proxy, 'request')).toBeUndefined()
    expect({ ...proxy }.own).toBe('value')
  })

  test('no function of it shows the source of ours', () => {
    const proxy = standIn(create(), members)
    expect(Function.prototype.toString.call(proxy.request)).toContain('[native code]')
    expect(Function.prototype.toString.call(proxy.reveal)).toContain('[native code]')
    expect(proxy.request.name).toBe('request')
  })
})

test('methods are called on the original, and reach its #private fields', () => {
  const { reveal } = standIn(Object.freeze(new Original()), members)
  expect(reveal()).toBe('kept')
})

test('listeners come and go as at the original', () => {
  const original = new Original()
  const proxy = standIn(original, members)
  const heard: unknown[] = []
  const listener = (value: unknown) => heard.push(value)
  expect(proxy.on('e', listener).on('e', listener)).toBe(proxy)
  original.emit('e', 1)
  proxy.removeListener('e', listener)
  original.emit('e', 2)
  expect(heard).toEqual([1, 1, 2])
  expect(proxy.listenerCount('e')).toBe(1)
})

test('what a page sets is set, at the original or in the place of our members', () => {
  const original = new Original() as Original & { autoRefresh?: boolean }
  const proxy = standIn(original, members)
  proxy.autoRefresh = false
  expect(original.autoRefresh).toBe(false)
  proxy.request = () => 'the page’s'
  expect(proxy.request()).toBe('the page’s')
  expect(original.request()).toBe('theirs')
})

test('a frozen original stays frozen, and the Proxy cannot be', () => {
  const proxy = standIn(Object.freeze(new Original()), members) as Original & { other?: number }
  expect(() => {
    proxy.other = 1
  }).toThrow(TypeError)
  expect(() => Object.freeze(proxy)).toThrow(TypeError)
})

test('members that the wallet does not have are not added', () => {
  const proxy = standIn({ request: () => 'theirs' }, { ...members, send: () => 'ours' })
  expect('send' in proxy).toBe(false)
  expect(Reflect.get(proxy, 'send')).toBeUndefined()
})
