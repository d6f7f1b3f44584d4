/** Accounts of sites kept apart, from a page's question to what each gateway is asked; how is tested in shared/src/accounts. */
import { hex } from '@nightjar/shared/bytes'
import { nobleCrypto } from '@nightjar/shared/crypto/noble'
import type { Json } from '@nightjar/shared/rpc'
import { hour, minute, second } from '@nightjar/shared/runtime'
import { pattern, turn } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { groupLabel } from '../requests/groups.ts'
import { createNetwork } from '../testing/network.ts'
import { agreed, Stage, type TestPage } from '../testing/stage.ts'
import { type AccountChoices, usualChoices } from './settings.ts'

const network = await createNetwork({ one: [1], two: [1], three: [1] })
const [anna, bert, carl] = [1, 2, 3].map((index) => `0x${hex(pattern(20, index))}`) as [string, string, string]
const token = `0x${'70'.repeat(20)}`
const hash = `0x${hex(pattern(32, 9))}`

async function setUp(choices: Partial<AccountChoices> = {}, net = network) {
  const stage = await Stage.set(net, { enabled: true, wallet: agreed(1) })
  await stage.start()
  const { settings } = stage.store.state
  stage.store.change({ settings: { ...settings, accounts: { ...usualChoices, ...choices } } })
  const label = (group: string) => groupLabel(nobleCrypto, stage.store.secret, group)
  const { daemon } = stage
  daemon.asked.length = 0
  /** What was asked by method, with the label of the group. */
  const groupsOf = (method: string) => daemon.asked.filter((each) => each.method === method).map(({ group }) => group)
  return { stage, daemon, label, groupsOf, page: stage.openPage('https://dapp.example') }
}

function show(page: TestPage, ...accounts: string[]): void {
  page.receive({ accounts })
}

/** The answer, once the parts of a question have started. */
async function answerTo(stage: Stage, page: TestPage, method: string, params: readonly Json[], time = 3 * second) {
  const id = page.ask(method, params)
  await stage.clock.elapse(time)
  return page.answerTo(id)
}

const topicOf = (account: string) => `0x${account.slice(2).padStart(64, '0')}`
/** Over more blocks than are checked: nothing is asked for but the logs. */
const logsOf = (...accounts: string[]) => [
  { address: token, fromBlock: '0x1', toBlock: '0x100', topics: [null, accounts.map(topicOf)] },
]
/** A call that cannot be taken apart. */
const both = [{ to: token, data: `0x12345678${topicOf(anna).slice(2)}${topicOf(bert).slice(2)}` }, '0x1']

test('a question about two accounts is put in a group of each, and what names none in the site’s', async () => {
  const { stage, daemon, label, page } = await setUp()
  show(page, anna, bert)
  daemon.answer = ({ method, params }) => {
    if (method !== 'eth_getLogs') return { result: null }
    const named = [anna, bert, carl].map(topicOf).filter((topic) => JSON.stringify(params).includes(topic))
    // In the chain's order, the second comes before the first.
    return { result: named.map((topic) => ({ ...log, topics: [topic], logIndex: indexOf(topic) })) }
  }
  const log = { blockHash: hash, blockNumber: '0x1', transactionIndex: '0x0', data: '0x' }
  const indexOf = (topic: string) => `0x${9 - [anna, bert, carl].map(topicOf).indexOf(topic)}`
  const ask = () => answerTo(stage, page, 'eth_getLogs', logsOf(anna, bert, carl))
  // What is asked for a second time is put off: each part is asked at a time of its own, within half an hour.
  for (let each = 0; each < 2; each++) expect((await ask())?.error?.data).toMatchObject({ nightjar: 'still-apart' })
  await stage.clock.elapse(hour / 2)
  const answer = await ask()
  const expected = [carl, bert, anna]
    .map(topicOf)
    .map((topic) => ({ ...log, topics: [topic], logIndex: indexOf(topic) }))
  expect(answer).toEqual({ result: expected })
  const sent = daemon.asked.filter(({ method }) => method === 'eth_getLogs')
  const asked = new Map(sent.map(({ group, params }) => [group, JSON.stringify(params)]))
  const own = [label(`account ${anna}`), label(`account ${bert}`)]
  expect([...asked.keys()].sort()).toEqual([...own, label('site https://dapp.example')].sort())
  // The gateways of accounts are not to see the middle that all of them would have in common.
  const hidden = daemon.requests.flatMap((each) => (each.type === 'open' && each.hidesMiddle ? [each.group] : []))
  expect([...new Set(hidden)].sort()).toEqual(own.sort())
  for (const text of asked.values()) {
    expect([anna, bert, carl].filter((each) => text.includes(each.slice(2)))).toHaveLength(1)
  }
})

describe('what cannot be taken apart', () => {
  test('is refused, sent nowhere, and shown', async () => {
    const { stage, daemon, page } = await setUp()
    show(page, anna, bert)
    const answer = await answerTo(stage, page, 'eth_call', both)
    expect(answer?.error).toMatchObject({ code: 4100, data: { nightjar: 'would-link' } })
    expect(daemon.asked).toEqual([])
    expect(stage.snapshot.accounts.linked).toEqual([{ reason: 'other', isSent: false, count: 1 }])
    expect(JSON.stringify(stage.snapshot)).not.toMatch(new RegExp(anna.slice(2)))
  })

  test('is sent alone where the user allows that, in a group of its own each time, and shown', async () => {
    const { stage, label, groupsOf, page } = await setUp({ linking: 'alone' })
    show(page, anna, bert)
    await answerTo(stage, page, 'eth_call', both)
    expect((await answerTo(stage, page, 'eth_call', both))?.result).toBe('eth_call of 1')
    const groups = groupsOf('eth_call')
    expect(new Set(groups).size).toBe(2)
    for (const known of ['site https://dapp.example', `account ${anna}`, `account ${bert}`]) {
      expect(groups).not.toContain(label(known))
    }
    expect(stage.snapshot.accounts.linked).toEqual([{ reason: 'other', isSent: true, count: 2 }])
  })

  test('ends a subscription to logs: a block without them would be a hole that nobody sees', async () => {
    const { stage, daemon, page } = await setUp()
    show(page, anna, bert)
    const topics = [
      [topicOf(anna), topicOf(bert)],
      [topicOf(anna), topicOf(bert)],
    ]
    const subscription = (await page.request('eth_subscribe', ['logs', { topics }]))?.result
    for (const number of ['0x1', '0x2']) {
      daemon.push(1, { hash: `#${number}`, parentHash: '#0x1', number })
      await turn()
    }
    await stage.clock.elapse(minute)
    expect(page.posted).toContainEqual({ event: 'ended', subscription })
  })
})

describe('accounts are learnt', () => {
  test('from what a wallet shows the pages of the site', async () => {
    const { stage, label, groupsOf, page } = await setUp()
    show(page, anna.toUpperCase().replace('X', 'x'))
    await answerTo(stage, page, 'eth_getStorageAt', [anna, '0x0', 'latest'])
    expect(groupsOf('eth_getStorageAt')).toEqual([label(`account ${anna}`)])
  })

  test('with what they sent: its receipt is asked for in the sender’s group', async () => {
    const { stage, label, groupsOf, page } = await setUp()
    page.receive({ accounts: [anna], transaction: hash })
    await answerTo(stage, page, 'eth_getTransactionReceipt', [hash])
    expect(groupsOf('eth_getTransactionReceipt')).toEqual([label(`account ${anna}`)])
  })

  test('by each site for itself: none can try out which accounts others know', async () => {
    const { stage, label, groupsOf, page } = await setUp()
    show(stage.openPage('https://other.example'), anna, bert)
    expect((await answerTo(stage, page, 'eth_call', both))?.error).toBeUndefined()
    expect(groupsOf('eth_call')).toContain(label('site https://dapp.example'))
    show(page, anna, bert)
    expect((await answerTo(stage, page, 'eth_call', both))?.error?.data).toMatchObject({ nightjar: 'would-link' })
  })

  test('and kept in memory only', async () => {
    const { stage, label, groupsOf, page } = await setUp()
    show(page, anna)
    await answerTo(stage, page, 'eth_getStorageAt', [anna, '0x0', 'latest'])
    expect(JSON.stringify(stage.stored)).not.toContain(anna.slice(2))
    await stage.restart()
    await answerTo(stage, stage.openPage('https://dapp.example'), 'eth_getStorageAt', [anna, '0x0', 'latest'])
    expect(groupsOf('eth_getStorageAt')).toEqual([label(`account ${anna}`), label('site https://dapp.example')])
  })
})

describe('a call that names nobody', () => {
  const call = [{ to: token, data: '0x18160ddd' }, '0x1']

  test('is asked of two operators, and counts as compared', async () => {
    const { stage, daemon, page } = await setUp()
    expect((await answerTo(stage, page, 'eth_call', call))?.result).toBe('eth_call of 1')
    expect(new Set(daemon.asked.map(({ gateway }) => gateway)).size).toBe(2)
    expect(stage.snapshot.accounts.answers).toEqual({ verified: 0, compared: 1, unverified: 0 })
  })

  test('is one gateway’s word where there is no other operator', async () => {
    const { stage, daemon, page } = await setUp({}, await createNetwork({ one: [1] }))
    expect((await answerTo(stage, page, 'eth_call', call))?.result).toBe('eth_call of 1')
    expect(daemon.asked).toHaveLength(1)
    expect(stage.snapshot.accounts.answers).toEqual({ verified: 0, compared: 0, unverified: 1 })
  })

  test('and where the user wants it so', async () => {
    const { stage, daemon, page } = await setUp({ compareCalls: false })
    await answerTo(stage, page, 'eth_call', call)
    expect(daemon.asked).toHaveLength(1)
    expect(stage.snapshot.accounts.answers).toEqual({ verified: 0, compared: 0, unverified: 1 })
  })

  test('about which gateways contradict each other is not answered, and that is shown', async () => {
    const { stage, daemon, page } = await setUp()
    daemon.answer = ({ gateway }) => ({ result: gateway })
    const answer = await answerTo(stage, page, 'eth_call', call)
    expect(answer?.error?.data).toMatchObject({ nightjar: 'answer-refuted' })
    expect(stage.snapshot.accounts.disputes).toBe(1)
  })
})

describe('watched accounts', () => {
  /** A block as gateways push it; by default not the one of its hash. */
  const header = {
    ...{ hash, parentHash: hash, number: '0x5', timestamp: '0x5', stateRoot: hash, sha3Uncles: hash },
    ...{ miner: token, transactionsRoot: hash, receiptsRoot: hash, logsBloom: `0x${'00'.repeat(256)}` },
    ...{
      difficulty: '0x0',
      gasLimit: '0x5',
      gasUsed: '0x0',
      mixHash: hash,
      nonce: `0x${'00'.repeat(8)}`,
      extraData: '0x',
    },
  }
  const follows = ({ daemon }: Stage, method: string) =>
    [...daemon.followed.values()].filter(({ question }) => question.method === method)

  test('are checked against heads from different operators, as far as there are any', async () => {
    const gatewaysOf = async (names: readonly string[]) => {
      const net = await createNetwork(Object.fromEntries(names.map((name) => [name, [1]])))
      const { stage, page } = await setUp({}, net)
      page.ask('eth_getBalance', [anna, 'latest'])
      await stage.clock.elapse(second)
      return follows(stage, 'eth_subscribe').map(({ branch }) => branch.gateway.name)
    }
    for (const names of [
      ['a', 'b', 'c', 'd', 'e'],
      ['a', 'b', 'c'],
      ['a', 'b'],
    ]) {
      const gateways = await gatewaysOf(names)
      expect([gateways.length, new Set(gateways).size]).toEqual([2, 2])
    }
    expect(await gatewaysOf(['a'])).toHaveLength(1)
  })

  test('without a way to any gateway are not answered, and the page is told why', async () => {
    const { daemon, page } = await setUp()
    daemon.on('gateways', () => ({ result: [{ relay: 'ab'.repeat(32), avoided: false }] }))
    const id = page.ask('eth_getBalance', [anna, 'latest'])
    await turn()
    expect(page.codeOf(id)).toBe('gateway-untrusted')
  })

  test('are counted, and left alone once Nightjar is off', async () => {
    const { stage, label, page } = await setUp({ freshness: 30 })
    page.ask('eth_getBalance', [anna, 'latest'])
    await stage.clock.elapse(hour)
    expect(follows(stage, 'nightjar_watch').map(({ branch }) => branch.group)).toEqual([label(`account ${anna}`)])
    stage.daemon.setStatus({ accounts: { ...stage.daemon.status.accounts, watched: 7, freshnessSeconds: 12 } })
    await turn()
    expect(stage.snapshot.accounts).toMatchObject({
      sites: { watched: 1, freshness: 30 },
      wallet: { watched: 7, freshness: 12 },
    })
    await stage.command({ command: 'disconnect' })
    expect(stage.snapshot.accounts.sites.watched).toBe(0)
  })

  test('a gateway that tells of a block that is not the one of its hash is named, and not asked so again', async () => {
    const { stage, daemon, page } = await setUp()
    page.ask('eth_getBalance', [anna, header.number])
    await stage.clock.elapse(second)
    const told = follows(stage, 'eth_subscribe').map(({ branch }) => branch.gateway.name)
    // Whatever the account is said to be, it is looked at against a block.
    daemon.answer = ({ method }) => ({ result: method === 'eth_getProof' ? {} : null })
    daemon.push(1, header)
    page.ask('eth_getBalance', [anna, header.number])
    await stage.clock.elapse(second)
    const lies = stage.snapshot.accounts.lies.map(({ gateway, what }) => ({ gateway, what }))
    expect(lies).toEqual(expect.arrayContaining(told.map((gateway) => ({ gateway, what: 'block-hash' }))))
    await stage.clock.elapse(minute)
    // Each follower has the gateways of one operator in three, which is one gateway here.
    const still = follows(stage, 'eth_subscribe').map(({ branch }) => branch.gateway.name)
    expect(still.filter((gateway) => told.includes(gateway))).toEqual([])
  })
})
