import { describe, expect, test } from 'vitest'
import { networkOf, networksOf } from './addresses.ts'

describe('networkOf', () => {
  test.each([
    ['192.0.2.1', '192.0.0.0/16'],
    ['127.3.0.1', '127.3.0.0/16'],
    ['::ffff:192.0.2.1', '192.0.0.0/16'],
    ['::ffff:c000:201', '192.0.0.0/16'],
    ['2001:db8::1', '2001:db8::/32'],
    ['2001:0DB8:0:0:0:0:0:1', '2001:db8::/32'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8::/32'],
    ['fe80::1%eth0', 'fe80::/32'],
    ['2600::', '2600::/32'],
    ['::1', '::/32'],
  ])('%s lies in %s', (address, network) => {
    expect(networkOf(address)).toBe(network)
  })
})

describe('networksOf', () => {
  const resolveName = async (host: string) =>
    host === 'two.example.org' ? ['198.51.100.1', '2001:db8::1'] : Promise.reject(new Error(`ENOTFOUND ${host}`))

  test('resolves names, takes literals as they are, and names each network once', async () => {
    const urls = ['wss://192.0.2.1/relay', 'wss://192.0.9.9:1/', 'wss://[2001:db8::5]:443/', 'wss://two.example.org/']
    expect(await networksOf(urls, resolveName)).toEqual(['192.0.0.0/16', '198.51.0.0/16', '2001:db8::/32'])
  })

  test('a name that does not resolve is an error', async () => {
    await expect(networksOf(['wss://nowhere.example.org/'], resolveName)).rejects.toMatchObject({
      code: 'connect-failed',
      detail: 'the name nowhere.example.org does not resolve',
    })
  })
})
