import { base64 } from '@nightjar/shared/bytes'
import { nobleCrypto } from '@nightjar/shared/crypto/noble'
import { second } from '@nightjar/shared/runtime'
import { codeOf, FakeClock, pattern, turn } from '@nightjar/shared/testing'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { usualChoices } from './accounts/settings.ts'
import { noChoices } from './shield/choices.ts'
import { metaMask, type Storage, Store, type StoreOptions } from './store.ts'

const key = (fill: number) => base64(new Uint8Array(32).fill(fill))
const builtIn = { keys: [key(1), key(2)], threshold: 2 }

afterEach(() => {
  vi.restoreAllMocks()
})

async function setUp(stored?: unknown, changes: Partial<StoreOptions> = {}) {
  const clock = new FakeClock()
  const written: unknown[] = []
  const storage: Storage = {
    read: async () => stored,
    write: async (value) => void written.push(JSON.parse(JSON.stringify(value))),
  }
  const options = { clock, storage, builtIn, randomBytes: nobleCrypto.randomBytes, ...changes }
  return { clock, written, store: await Store.load(options) }
}

/** What an earlier run stored. */
async function anEarlier(): Promise<Record<string, unknown>> {
  const { store, written } = await setUp()
  store.change({ enabled: true, wallet: { endpoint: 'x', chains: [1], since: 5, seen: true } })
  return written.at(-1) as Record<string, unknown>
}

describe('loading', () => {
  test('for the first time makes a fresh state and stores it', async () => {
    const { store, written } = await setUp()
    expect(store.state).toMatchObject({ enabled: false, settings: { wallet: metaMask, sites: [], shield: noChoices } })
    expect(store.secret).toHaveLength(32)
    expect(written).toEqual([store.state])
    expect((await setUp()).store.state.secret).not.toBe(store.state.secret)
  })

  test('of what an older version stored keeps it, with the usual choices about accounts', async () => {
    const { settings, ...earlier } = await anEarlier()
    const { accounts: _, ...older } = settings as { readonly accounts: unknown }
    const { store } = await setUp({ ...earlier, settings: older })
    expect(store.state).toEqual({ ...earlier, settings: { ...older, accounts: usualChoices } })
  })

  test('gives what was stored, and stores nothing', async () => {
    const earlier = await anEarlier()
    const { store, written } = await setUp(earlier)
    expect([store.state, written]).toEqual([earlier, []])
  })

  test.each<[string, (earlier: Record<string, unknown>) => unknown]>([
    ['nothing readable', () => 'garbage'],
    ['null', () => null],
    ['another version', (earlier) => ({ ...earlier, version: 2 })],
    ['a short secret', (earlier) => ({ ...earlier, secret: 'AAAA' })],
    ['an unknown key', (earlier) => ({ ...earlier, more: 1 })],
    ['a damaged setting', (earlier) => ({ ...earlier, settings: { wallet: 'x', sites: [] } })],
    [
      'a damaged choice',
      ({ settings, ...earlier }) => ({
        ...earlier,
        settings: { ...(settings as object), shield: { choices: { 'a.example': 'direct' }, added: [] } },
      }),
    ],
    ['a damaged shield', (earlier) => ({ ...earlier, shield: { isSystem: true } })],
    ['a damaged mark', (earlier) => ({ ...earlier, mark: { version: 1, hash: '*' } })],
  ])('of %s starts afresh', async (_, damage) => {
    const { store, written } = await setUp(damage(await anEarlier()))
    expect(store.state.settings).toEqual({
      wallet: metaMask,
      sites: [],
      shield: noChoices,
      accounts: usualChoices,
    })
    expect(store.state.wallet).toEqual({ endpoint: '', chains: [], since: 0, seen: false })
    expect(written).toEqual([store.state])
  })

  // Off would be direct: the pages' scripts would hand everything to the wallet.
  test('of a damaged state that was on stays on, and one that was off stays off', async () => {
    const earlier = await anEarlier()
    const isOn = async (stored: unknown) => (await setUp(stored)).store.state.enabled
    expect(await isOn({ ...earlier, secret: '' })).toBe(true)
    expect(await isOn({ ...earlier, secret: '', enabled: false })).toBe(false)
    expect(await isOn({ ...earlier, secret: '', enabled: 'yes' })).toBe(false)
  })

  test('works where nothing can be stored', async () => {
    const said = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    const { store } = await setUp(undefined, {
      storage: { read: async () => undefined, write: () => Promise.reject(new Error('disk full')) },
    })
    store.change({ enabled: true })
    await turn()
    expect([store.state.enabled, said.mock.calls.length]).toEqual([true, 2])
  })
})

describe('the directory', () => {
  test('is the build’s, unless the user has set one', async () => {
    const { store } = await setUp()
    expect(store.settings).toMatchObject({ directory: builtIn, directoryIsBuiltIn: true })
    expect(store.trust).toEqual({ keys: [1, 2].map((fill) => new Uint8Array(32).fill(fill)), threshold: 2 })
    store.change({ settings: { ...store.state.settings, directory: { keys: [key(3)], threshold: 1 } } })
    expect(store.settings).toMatchObject({ directory: { keys: [key(3)], threshold: 1 }, directoryIsBuiltIn: false })
    expect(store.trust.keys).toEqual([new Uint8Array(32).fill(3)])
  })

  test('that nobody has set trusts no network', async () => {
    const { store } = await setUp(undefined, { builtIn: undefined })
    expect(store.settings.directory.keys).toEqual([])
    expect(codeOf(() => store.trust)).toBe('no-directory-keys')
  })
})

describe('the mark of the newest document', () => {
  test('rises and never falls', async () => {
    const { store, written } = await setUp()
    expect(store.mark).toBeUndefined()
    store.setMark({ version: 5, hash: pattern(32) })
    expect(store.mark).toEqual({ version: 5, hash: pattern(32) })
    const { length } = written
    store.setMark({ version: 5, hash: pattern(32, 2) })
    store.setMark({ version: 4, hash: pattern(32, 2) })
    expect([store.mark, written.length]).toEqual([{ version: 5, hash: pattern(32) }, length])
    store.setMark({ version: 6, hash: pattern(32, 2) })
    expect((await setUp(written.at(-1))).store.mark).toEqual({ version: 6, hash: pattern(32, 2) })
  })
})

describe('the count', () => {
  test('is written every ten seconds, not with each request', async () => {
    const { clock, store, written } = await setUp()
    written.length = 0
    for (let count = 0; count < 5; count++) store.count('2026-01-01')
    expect([store.state.today, written]).toEqual([{ day: '2026-01-01', requests: 5 }, []])
    clock.advance(10 * second)
    store.count('2026-01-01')
    expect(written).toMatchObject([{ today: { requests: 5 } }])
    clock.advance(10 * second)
    expect(written).toHaveLength(2)
    clock.advance(60 * second)
    expect(written).toHaveLength(2)
  })

  test('begins anew each day', async () => {
    const { store } = await setUp()
    store.count('2026-01-01')
    store.count('2026-01-01')
    store.count('2026-01-02')
    expect(store.state.today).toEqual({ day: '2026-01-02', requests: 1 })
  })
})
