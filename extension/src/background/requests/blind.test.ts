/** What a native program that looks at every byte learns of pages: opaque labels, and nothing else. */
import { nobleCrypto } from '@nightjar/shared/crypto/noble'
import { hour } from '@nightjar/shared/runtime'
import { pattern, turn } from '@nightjar/shared/testing'
import { expect, test } from 'vitest'
import { createNetwork } from '../testing/network.ts'
import { agreed, Stage, senderOf } from '../testing/stage.ts'
import { groupLabel } from './groups.ts'

const network = await createNetwork({ one: [1] })

async function setUp() {
  const stage = await Stage.set(network, { enabled: true, wallet: agreed(1) })
  await stage.start()
  return stage
}

/** Labels under which a page's questions were put. */
async function labelsOf(stage: Stage, origin: string): Promise<string[]> {
  stage.daemon.asked.length = 0
  const page = stage.openPage(origin)
  page.ask('eth_gasPrice')
  page.ask('eth_blockNumber')
  await turn()
  expect(stage.daemon.asked).toHaveLength(2)
  return [...new Set(stage.daemon.asked.map(({ group }) => group))]
}

test('neither origin nor method, parameter, answer or setting is in anything that it is sent', async () => {
  const stage = await setUp()
  const secrets = {
    origin: 'private-dapp.example',
    path: 'treasure-path',
    frame: 'framed-widget.example',
    method: 'eth_getStorageAt',
    address: 'd8da6bf26964af9d7eed9e03e53415d37aa96045',
    shown: '5aaeb6053f3e94c9b9a09f33669435e7ef1beaed',
    large: 'c0ffee'.repeat(10),
    raw: '0x02f86b0180843b9aca00',
    blocked: 'personal_unlockAccount',
    password: 'correct horse battery',
    topic: 'ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef',
  }
  const url = `https://${secrets.origin}/${secrets.path}`
  const page = stage.openPage({ ...senderOf(`https://${secrets.origin}`), url, tab: { url } })
  const framed = stage.openPage({ id: 'self', frameId: 3, url: `https://${secrets.frame}/`, tab: { url } })
  page.ask(secrets.method, [`0x${secrets.address}`, '0x0', 'latest'])
  page.ask('eth_call', [{ data: `0x${secrets.large.repeat(2000)}` }])
  page.ask('eth_call', [{ data: `0x${secrets.large.repeat(12_000)}` }])
  page.ask('eth_sendRawTransaction', [secrets.raw])
  page.ask(secrets.blocked, [secrets.password], { door: 'nightjar' })
  page.ask('eth_subscribe', ['logs', { topics: [`0x${secrets.topic}`] }])
  page.ask('eth_newFilter', [{ address: `0x${secrets.address}` }])
  framed.ask('eth_getBalance', [`0x${secrets.address}`, 'latest'])
  await turn()
  const blocks = { fromBlock: '0x1', toBlock: '0x2' }
  page.receive({ accounts: [`0x${secrets.shown}`] })
  // What is asked for a second time is put off: each account is asked for at a time of its own, within half an hour.
  for (let each = 0; each < 2; each++) {
    page.ask('eth_getLogs', [{ ...blocks, topics: [null, [`0x${secrets.address}`, `0x${secrets.shown}`]] }])
    await turn()
  }
  await stage.clock.elapse(hour / 2)
  // They did go out.
  const asked = stage.daemon.asked.map(({ method }) => method)
  expect(asked).toEqual(expect.arrayContaining([secrets.method, 'eth_call', 'eth_sendRawTransaction', 'eth_getLogs']))
  const text = stage.daemon.texts.join(' ').toLowerCase()
  expect(text.length).toBeGreaterThan(1_000_000)
  for (const [name, secret] of Object.entries(secrets))
    expect([name, text.includes(secret.toLowerCase())]).toEqual([name, false])
  for (const word of ['eth_', 'params', 'https:', 'jsonrpc', 'latest', stage.store.state.secret.toLowerCase()]) {
    expect([word, text.includes(word)]).toEqual([word, false])
  }
})

test('a site has one label, another one has another, and neither says anything', async () => {
  const stage = await setUp()
  const [one, again] = [await labelsOf(stage, 'https://a.example'), await labelsOf(stage, 'https://a.example')]
  const others = await Promise.all(
    ['http://a.example', 'https://a.example:8443', 'https://b.example', 'https://www.a.example'].map((origin) =>
      groupLabel(nobleCrypto, stage.store.secret, `site ${origin}`),
    ),
  )
  expect(one).toHaveLength(1)
  expect(again).toEqual(one)
  expect(new Set([...one, ...others]).size).toBe(5)
  for (const label of [...one, ...others]) expect(label).toMatch(/^[0-9a-f]{64}$/)
})

test('the check of a chain is a group of its own', async () => {
  const stage = await setUp()
  const [check] = stage.daemon.asked
  expect(check?.method).toBe('eth_chainId')
  expect(await labelsOf(stage, 'https://a.example')).not.toContain(check?.group)
})

test('another installation gives the same site another label', async () => {
  const [one, two] = [
    await labelsOf(await setUp(), 'https://a.example'),
    await labelsOf(await setUp(), 'https://a.example'),
  ]
  expect(one).not.toEqual(two)
  expect(groupLabel(nobleCrypto, pattern(32, 1), 'site x')).not.toBe(groupLabel(nobleCrypto, pattern(32, 2), 'site x'))
})

test('the label outlives the service worker and the browser', async () => {
  const stage = await setUp()
  const before = await labelsOf(stage, 'https://a.example')
  await stage.restart()
  expect(await labelsOf(stage, 'https://a.example')).toEqual(before)
})

test('two sites never share a branch', async () => {
  const stage = await setUp()
  await labelsOf(stage, 'https://a.example')
  await labelsOf(stage, 'https://b.example')
  const groups = [...stage.daemon.branches.values()].map(({ group }) => group)
  expect(new Set(groups).size).toBe(groups.length)
  expect(groups).toHaveLength(3)
})
