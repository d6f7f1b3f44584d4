import { describe, expect, test } from 'vitest'
import { announce, requestAnnouncements, uuid, wrapAnnouncements } from './announcements.ts'
import { FakeBackground } from './testing/background.ts'
import { FakeMetaMask } from './testing/wallet.ts'
import { Wallets } from './wallets.ts'

interface Detail {
  readonly info: { readonly rdns: string; readonly uuid?: string }
  readonly provider: unknown
}

function setUp() {
  const page = new EventTarget()
  const wallets = new Wallets(new FakeBackground(), () => {})
  let told = 0
  wrapAnnouncements(page, wallets, () => {
    told += 1
  })
  const heard: Detail[] = []
  page.addEventListener('eip6963:announceProvider', (event) => heard.push((event as CustomEvent<Detail>).detail))
  const says = (detail: unknown) => page.dispatchEvent(new CustomEvent('eip6963:announceProvider', { detail }))
  return { page, wallets, heard, says, told: () => told }
}

const info = { uuid: 'u', name: 'MetaMask', icon: 'data:,', rdns: 'io.metamask' }

describe.each(['io.metamask', 'io.metamask.flask', 'io.metamask.mmi'])('%s', (rdns) => {
  test('is announced once, with the Proxy', () => {
    const { heard, says, wallets } = setUp()
    const provider = new FakeMetaMask()
    const detail = Object.freeze({ info: { ...info, rdns }, provider })
    says(detail)
    expect(heard).toHaveLength(1)
    expect(heard[0]?.info).toBe(detail.info)
    expect(heard[0]?.provider).toBe(wallets.found(provider))
    expect(heard[0]?.provider).not.toBe(provider)
    expect(heard[0]).toSatisfy(Object.isFrozen)
    says(detail)
    expect(heard[1]?.provider).toBe(heard[0]?.provider)
  })
})

test('other wallets are announced as they announced themselves', () => {
  const { heard, says } = setUp()
  const detail = { info: { ...info, rdns: 'com.example' }, provider: new FakeMetaMask() }
  says(detail)
  expect(heard).toEqual([detail])
  expect(heard[0]).toBe(detail)
})

test('a page that announces again what it was given gets the same', () => {
  const { heard, says } = setUp()
  says({ info, provider: new FakeMetaMask() })
  says(heard[0])
  expect(heard[1]?.provider).toBe(heard[0]?.provider)
})

test.each([[undefined], [null], ['text'], [{}], [{ info: null, provider: null }], [{ info, provider: {} }]])(
  'an announcement that is none stays what it is: %j',
  (detail) => {
    const { heard, says } = setUp()
    says(detail)
    expect(heard).toHaveLength(1)
    expect(heard[0]).toEqual(detail ?? null)
  },
)

test('word is given of each wallet before the page hears of it', () => {
  const { page, says, told } = setUp()
  const seen: number[] = []
  page.addEventListener('eip6963:announceProvider', () => seen.push(told()))
  says({ info, provider: new FakeMetaMask() })
  expect(seen).toEqual([1])
})

test('a provider of ours is announced now and whenever the page asks', () => {
  const { page, heard } = setUp()
  const provider = { request: () => {} }
  announce(page, { ...info, rdns: 'app.nightjar' }, provider)
  requestAnnouncements(page)
  expect(heard).toHaveLength(2)
  expect(heard[0]).toBe(heard[1])
  expect(heard[0]?.provider).toBe(provider)
  expect(heard[0]).toSatisfy(Object.isFrozen)
  expect(heard[0]?.info).toSatisfy(Object.isFrozen)
})

test('a uuid has the version and the variant of random ones, and all else of its bytes', () => {
  expect(uuid(new Uint8Array(16))).toBe('00000000-0000-4000-8000-000000000000')
  expect(uuid(new Uint8Array(16).fill(0xff))).toBe('ffffffff-ffff-4fff-bfff-ffffffffffff')
  const counted = Uint8Array.from({ length: 16 }, (_, index) => index * 17)
  expect(uuid(counted)).toBe('00112233-4455-4677-8899-aabbccddeeff')
})
