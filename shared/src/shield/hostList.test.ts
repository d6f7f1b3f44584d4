import fc from 'fast-check'
import { parse } from 'tldts'
import { describe, expect, test } from 'vitest'
import { hex } from '../bytes/index.ts'
import { nobleCrypto } from '../crypto/noble.ts'
import file from './hosts.json' with { type: 'json' }
import { allows, categories, findHost, hostList, isBelow, type ListedHost, listDigest, normaliseHost } from './index.ts'

const { sha256 } = nobleCrypto.hash
const suffixes = file.hosts.map(({ suffix }) => suffix)

describe('hosts.json', () => {
  test('is sorted, and names nothing twice', () => {
    expect(suffixes).toEqual([...new Set(suffixes)].sort())
  })

  test('every entry is a host below a public suffix, with category, source and date', () => {
    for (const entry of file.hosts) {
      expect(Object.keys(entry), entry.suffix).toEqual(['suffix', 'category', 'source', 'date'])
      expect(normaliseHost(entry.suffix), entry.suffix).toBe(entry.suffix)
      // Else one line would list all the customers of a registry or a hoster.
      expect(parse(entry.suffix, { allowPrivateDomains: true }).domain, entry.suffix).not.toBeNull()
      expect(categories, entry.suffix).toContain(entry.category)
      expect(entry.source, entry.suffix).toMatch(/^(unchecked: \S|https:\/\/|viem |shared\/facts\/)/)
      expect(entry.date, entry.suffix).toMatch(/^20\d\d-[01]\d-[0-3]\d$/)
      expect(entry.date <= file.date, entry.suffix).toBe(true)
    }
    expect(new Set(file.hosts.map(({ category }) => category))).toEqual(new Set(categories))
  })

  test('no entry stands below another of its category', () => {
    const needless = hostList.filter(({ suffix, category }) => {
      const parent = findHost(suffix.slice(suffix.indexOf('.') + 1))
      return parent?.category === category
    })
    expect(needless).toEqual([])
  })

  // What MetaMask 13.5.0 was seen to call (docs/known-issues.md says what is left out, and why).
  test.each([
    ['mainnet.infura.io', 'rpc'],
    ['linea-mainnet.infura.io', 'rpc'],
    ['solana-mainnet.infura.io', 'rpc'],
    ['accounts.api.cx.metamask.io', 'wallet'],
    ['security-alerts.api.cx.metamask.io', 'wallet'],
    ['dapp-scanning.api.cx.metamask.io', 'wallet'],
    ['tx-sentinel-ethereum-mainnet.api.cx.metamask.io', 'wallet'],
    ['chainid.network', 'wallet'],
    ['api.web3auth.io', 'wallet'],
    ['min-api.cryptocompare.com', 'price'],
    ['metamask.github.io', 'phishing-list'],
    ['api.etherscan.io', 'explorer'],
    ['li.quest', 'bridge'],
  ])('covers %s', (name, category) => {
    expect(findHost(name)?.category).toBe(category)
  })

  test.each(['github.io', 'evil.github.io', 'raw.githubusercontent.com', 'example.org'])('leaves %s alone', (name) => {
    expect(findHost(name)).toBeUndefined()
  })
})

const list: readonly ListedHost[] = [
  { suffix: 'infura.io', category: 'rpc' },
  { suffix: 'price.infura.io', category: 'price' },
]

describe('findHost', () => {
  test.each([
    ['infura.io', 'infura.io'],
    ['MAINNET.Infura.IO', 'infura.io'],
    ['mainnet.infura.io.', 'infura.io'],
    ['a.b.price.infura.io', 'price.infura.io'],
    ['price.infura.io', 'price.infura.io'],
    ['notprice.infura.io', 'infura.io'],
    ['_my_node.infura.io', 'infura.io'],
  ])('%s is found as %s', (name, suffix) => {
    expect(findHost(name, list)?.suffix).toBe(suffix)
  })

  test.each([
    '',
    '.',
    'io',
    'evilinfura.io',
    'infura.io.evil.org',
    'infura.io..',
    '.infura.io',
    'a..infura.io',
    '*.infura.io',
    ' infura.io',
    'infura.io\0',
    'infura.io\n',
    'user@infura.io',
    'infura.io:443',
    'infura.io/',
    'ınfura.io',
    'infura。io',
    '-a.infura.io',
    'a-.infura.io',
    `${'a'.repeat(64)}.infura.io`,
    `${'a.'.repeat(125)}infura.io`,
    '127.0.0.1',
    '[::1]',
    '::1',
    '2001:db8::1',
  ])('%j is not found', (name) => {
    expect(findHost(name, list)).toBeUndefined()
  })

  test('addresses in any spelling are no host names, even if someone listed them', () => {
    for (const address of ['127.0.0.1', '127.1', '0x7f.1', '0x7f.0x1', '1.2.3.0x4', 'a.0', '1.2.3.4.']) {
      expect(normaliseHost(address), address).toBeUndefined()
      expect(findHost(address, [{ suffix: address, category: 'rpc' }])).toBeUndefined()
    }
  })

  const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/)

  test('property: what is found is the host or a parent of it, and any letter case and one dot more find the same', () => {
    fc.assert(
      fc.property(fc.array(label, { maxLength: 3 }), fc.constantFrom(...suffixes), fc.nat(), (labels, suffix, mask) => {
        const name = [...labels, suffix].join('.')
        const found = findHost(name)
        expect(found).toBeDefined()
        expect(isBelow(name, found?.suffix ?? '')).toBe(true)
        expect(found?.suffix.length).toBeGreaterThanOrEqual(suffix.length)
        const mixed = [...name].map((char, at) => ((mask >> (at % 31)) & 1 ? char.toUpperCase() : char)).join('')
        expect(findHost(`${mixed}.`)).toEqual(found)
      }),
    )
  })

  test('property: whatever is found in arbitrary text ends with a listed suffix', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.constantFrom('', ...suffixes), (text, tail) => {
        const found = findHost(text + tail)
        if (found === undefined) return true
        return isBelow((text + tail).toLowerCase().replace(/\.$/, ''), found.suffix)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('listDigest', () => {
  test('is the same in any order, and another for another list', () => {
    const digest = (entries: readonly ListedHost[]) => hex(listDigest(sha256, entries))
    // printf 'nightjar-1 host list\0infura.io rpc\nprice.infura.io price\n' | sha256sum
    expect(digest(list)).toBe('3c0cb13110f8999a27a9fb95c6d6901130690bdc32d02a021091ea96ec2084fd')
    expect(digest([...list].reverse())).toBe(digest(list))
    expect(digest([])).not.toBe(digest(list))
    expect(digest([{ suffix: 'infura.io', category: 'wallet' }, ...list.slice(1)])).not.toBe(digest(list))
  })
})

describe('allows', () => {
  const all = { categories: [...categories], without: [] }

  test('an operator takes categories and suffixes away', () => {
    expect(allows(all, 'mainnet.infura.io', list)).toBe(true)
    expect(allows({ ...all, categories: ['price'] }, 'mainnet.infura.io', list)).toBe(false)
    expect(allows({ ...all, categories: ['price'] }, 'Price.infura.io.', list)).toBe(true)
    expect(allows({ ...all, without: ['mainnet.infura.io'] }, 'MAINNET.infura.io.', list)).toBe(false)
    expect(allows({ ...all, without: ['mainnet.infura.io'] }, 'sepolia.infura.io', list)).toBe(true)
    expect(allows({ ...all, without: ['infura.io'] }, 'price.infura.io', list)).toBe(false)
  })

  test('property: no policy adds anything to the list', () => {
    const policy = fc.record({ categories: fc.array(fc.string()), without: fc.array(fc.string()) })
    fc.assert(
      fc.property(policy, fc.domain(), (narrowed, name) => {
        const widened = { ...narrowed, categories: [...narrowed.categories, ...categories] }
        return !allows(widened, name, list) || findHost(name, list) !== undefined
      }),
    )
  })
})
