import { privateKeyToAccount } from 'viem/accounts'
import { describe, expect, it } from 'vitest'
import type { NightjarError } from '../errors/index.ts'
import type { Hex } from '../proofs/index.ts'
import { type Json, type Outcome, transactionHash } from '../rpc/index.ts'
import { minute, second } from '../runtime.ts'
import { accountOf, balancesAnswer, balancesCall, type Stage, setStage, site } from './testing/stage.ts'

const [a, b] = [accountOf(0), accountOf(1)]
const stranger: Hex = `0x${'99'.repeat(20)}`
const token = `0x${'77'.repeat(20)}`
const codeOf = (result: unknown) => (result as NightjarError).code
const word = (address: string) => address.slice(2).padStart(64, '0')
const balanceOf = (account: string) => ({ to: token, data: `0x70a08231${word(account)}` })

function sent({ gateways }: Stage, method: string): readonly (readonly [string, Json])[] {
  const asked = gateways.asked.filter((each) => each.method === method && each.what === 'request')
  return asked.map(({ group, params }) => [group, params])
}

describe('a call goes', () => {
  it('with its caller where it names no account, and on the account’s branch where it names one', async () => {
    const stage = await setStage({ accounts: 2, settings: { compareCalls: false } })
    await stage.settled(stage.ask('eth_gasPrice'))
    await stage.settled(stage.ask('eth_call', [balanceOf(stranger), 'latest']))
    await stage.settled(stage.ask('eth_call', [balanceOf(a), 'latest']))
    await stage.clock.elapse(10 * second)
    await stage.settled(stage.ask('eth_estimateGas', [{ from: b, to: stranger, value: '0x1' }]))
    const groups = stage.gateways.asked
      .filter(({ method }) => /gasPrice|call|estimate/.test(method))
      .map(({ group }) => group)
    expect(groups).toEqual([site, site, `account ${a}`, `account ${b}`])
  })

  it('never with its caller where it names an account, in whatever place', async () => {
    const stage = await setStage({ accounts: 2 })
    await stage.settled(stage.ask('eth_blockNumber', [a]))
    await stage.settled(stage.ask('eth_sendRawTransaction', [`0x7f${a.slice(2)}`]))
    expect(codeOf(await stage.settled(stage.ask('eth_gasPrice', [a, { [b]: [] }])))).toBe('would-link')
    const requests = stage.gateways.asked.filter(({ method }) => /blockNumber|Raw|gasPrice/.test(method))
    expect(requests.map(({ group }) => group)).toEqual([`account ${a}`, `account ${a}`])
  })

  it('in parts where it names several: each on its own branch, at its own moment, at one block', async () => {
    const stage = await setStage({ accounts: 2, settings: { coldSpread: 0 } })
    // The checker is not one that is known, so that no watch can say.
    stage.gateways.answer = ({ group }) => balancesAnswer([BigInt(`0x${group.slice(-2)}`)])
    const [message] = balancesCall([a, b], 'latest').params as readonly { readonly data: string }[]
    const outcome = await stage.settled(stage.ask('eth_call', [{ to: token, data: message?.data ?? '' }, 'latest']))
    expect(outcome).toEqual(balancesAnswer([1n, 2n]))
    const calls = stage.gateways.asked.filter(({ method }) => method === 'eth_call')
    expect(calls.map(({ group }) => group).sort()).toEqual([`account ${a}`, `account ${b}`])
    expect(calls.map(({ params }) => (params as readonly Json[])[1])).toEqual(['0x3e8', '0x3e8'])
    expect(calls[0]?.at).not.toBe(calls[1]?.at)
  })

  it('with its caller for the part that names no account', async () => {
    const stage = await setStage({ accounts: 2, settings: { coldSpread: 0 } })
    stage.gateways.answer = () => ({ result: [] })
    await stage.settled(stage.ask('eth_getLogs', [{ address: [a, stranger, b], fromBlock: '0x1', toBlock: '0x2' }]))
    const asked = sent(stage, 'eth_getLogs').map(([group, params]) => `${group}: ${JSON.stringify(params)}`)
    const part = (address: string) => JSON.stringify([{ address: [address], fromBlock: '0x1', toBlock: '0x2' }])
    expect(asked.sort()).toEqual([`account ${a}: ${part(a)}`, `account ${b}: ${part(b)}`, `${site}: ${part(stranger)}`])
  })

  it('nowhere where it would link accounts, unless the user lets it go by itself', async () => {
    const call = ['eth_call', [{ from: a, to: b, data: '0x' }, 'latest']] as const
    const refusing = await setStage({ accounts: 2 })
    expect(codeOf(await refusing.settled(refusing.ask(...call)))).toBe('would-link')
    expect(sent(refusing, 'eth_call')).toEqual([])
    expect(refusing.linkings).toEqual([{ reason: 'transfer', accounts: 2, at: expect.any(Number), isSent: false }])

    const allowing = await setStage({ accounts: 2, settings: { linking: 'alone' } })
    await allowing.settled(allowing.ask(...call))
    await allowing.settled(allowing.ask(...call))
    const groups = sent(allowing, 'eth_call').map(([group]) => group)
    expect(groups.every((group) => /^once [0-9a-f]{32}$/.test(group))).toBe(true)
    expect(new Set(groups).size).toBe(2)
    expect(JSON.stringify(allowing.linkings)).not.toContain(a.slice(2))
    expect(allowing.accounts.status.linkings).toHaveLength(2)
  })

  it('where the transaction will go that it tries out: to another own account, too, which will be public', async () => {
    const stage = await setStage({ accounts: 3 })
    const transfer = { from: a, to: b, value: '0x1' }
    const ofTokens = { from: a, to: token, data: `0xa9059cbb${word(b)}${word('0x1')}` }
    for (const message of [transfer, ofTokens]) {
      expect(await stage.settled(stage.ask('eth_estimateGas', [message]))).toEqual({ result: '0x1' })
    }
    expect(sent(stage, 'eth_estimateGas').map(([group]) => group)).toEqual([`account ${a}`, `account ${a}`])
    expect(stage.linkings).toMatchObject([
      { reason: 'transfer', accounts: 2, isSent: true },
      { reason: 'transfer', accounts: 2, isSent: true },
    ])
    // No transaction says these.
    const others = [
      [{ ...transfer, from: stranger, data: b }, 'latest', { [a]: {} }],
      [transfer, 'latest', { [accountOf(2)]: { balance: '0x1' } }],
      [{ to: stranger, data: word(a) + word(b) }],
    ]
    for (const params of others) {
      expect(codeOf(await stage.settled(stage.ask('eth_estimateGas', params)))).toBe('would-link')
    }
    expect(sent(stage, 'eth_estimateGas')).toHaveLength(2)
  })

  it('back as the first error of its parts, whoever says it', async () => {
    const stage = await setStage({ accounts: 2, settings: { coldSpread: 0 } })
    const filter = { address: [a, b], fromBlock: '0x1', toBlock: '0x2' }
    const revert: Outcome = { error: { code: 3, message: 'execution reverted' } }
    stage.gateways.answer = ({ group }) => (group === `account ${a}` ? { result: [] } : revert)
    expect(await stage.settled(stage.ask('eth_getLogs', [filter]))).toEqual(revert)
    stage.gateways.faults.set(`account ${a}`, { isGone: true })
    expect(await stage.settled(stage.ask('eth_getLogs', [filter]))).toMatchObject({
      error: { data: { nightjar: 'timed-out' } },
    })
  })

  it('into account for nobody else: what one learns from it counts for the next', async () => {
    const stage = await setStage({ accounts: 0, settings: { compareCalls: false } })
    await stage.settled(stage.ask('eth_call', [balanceOf(stranger), 'latest']))
    await stage.settled(stage.ask('eth_getTransactionCount', [stranger, 'pending']))
    await stage.settled(stage.ask('eth_call', [balanceOf(stranger), 'latest']))
    expect(sent(stage, 'eth_call').map(([group]) => group)).toEqual([site, `account ${stranger}`])
  })
})

describe('a transaction', () => {
  const signer = privateKeyToAccount('0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80')
  const sender = signer.address.toLowerCase() as Hex
  const group = `account ${sender}`
  const sign = (to: Hex) =>
    signer.signTransaction({
      chainId: 1,
      type: 'eip1559',
      to,
      gas: 21_000n,
      nonce: 0,
      maxFeePerGas: 9n,
      maxPriorityFeePerGas: 1n,
    })

  async function send(stage: Stage, to: Hex): Promise<string> {
    const outcome = await stage.settled(stage.ask('eth_sendRawTransaction', [await sign(to)]))
    return (outcome as { readonly result: string }).result
  }

  const receiptOf = ({ chain }: Stage, hash: string) => {
    const { number, hash: blockHash } = chain.head
    return { transactionHash: hash, blockNumber: `0x${number.toString(16)}`, blockHash, status: '0x1' }
  }

  it('goes on its sender’s branch, to whomever, and is listed where that is an own account', async () => {
    const stage = await setStage()
    await send(stage, stranger)
    expect(stage.linkings).toEqual([])
    await send(stage, a)
    expect(sent(stage, 'eth_sendRawTransaction').map(([each]) => each)).toEqual([group, group])
    expect(stage.linkings).toMatchObject([{ reason: 'transfer', accounts: 2, isSent: true }])
  })

  it('is watched from then on: its receipt is null until its gateway tells it', async () => {
    const stage = await setStage()
    stage.run()
    const hash = await send(stage, stranger)
    await stage.clock.elapse(1 * second)
    const poll = () => stage.settled(stage.ask('eth_getTransactionReceipt', [hash]))
    expect(await poll()).toEqual({ result: null })
    const receipt = receiptOf(stage, hash)
    stage.gateways.receipts.set(hash, receipt)
    await stage.clock.elapse(40 * second)
    expect(await poll()).toEqual({ result: receipt })
    // Once, when it was registered.
    expect(sent(stage, 'eth_getTransactionReceipt')).toEqual([[group, [hash]]])
    expect(stage.accounts.status.counts.unverified).toBeGreaterThan(0)
    stage.gateways.loseBranches(group, 'done')
    expect(await poll()).toEqual({ result: receipt })
    expect(sent(stage, 'eth_getTransactionReceipt').map(([each]) => each)).toEqual([group, group])
  })

  it('is told of a block that was there before its watch', async () => {
    const stage = await setStage()
    const raw = await sign(stranger)
    const hash = transactionHash(raw)
    const receipt = receiptOf(stage, hash)
    stage.gateways.receipts.set(hash, receipt)
    await stage.settled(stage.ask('eth_sendRawTransaction', [raw]))
    await stage.clock.elapse(10 * second)
    expect(await stage.settled(stage.ask('eth_getTransactionReceipt', [hash]))).toEqual({ result: receipt })
    expect(sent(stage, 'eth_getTransactionReceipt')).toHaveLength(1)
  })

  it('is asked for, once at each attempt, where it is too large for a push', async () => {
    const stage = await setStage()
    stage.run()
    const hash = await send(stage, stranger)
    await stage.clock.elapse(1 * second)
    const log = { address: stranger, topics: Array(3).fill(hash), data: hash, blockHash: hash, transactionHash: hash }
    const receipt = { ...receiptOf(stage, hash), logs: Array(16).fill(log) }
    const askedBefore = sent(stage, 'eth_getTransactionReceipt').length
    stage.gateways.receipts.set(hash, receipt)
    await stage.clock.elapse(25 * second)
    expect(await stage.settled(stage.ask('eth_getTransactionReceipt', [hash]))).toEqual({ result: receipt })
    expect(sent(stage, 'eth_getTransactionReceipt').length - askedBefore).toBe(1)
  })

  it('is not shown as included where its block shows that it is not', async () => {
    const stage = await setStage()
    stage.run()
    const hash = await send(stage, stranger)
    await stage.clock.elapse(1 * second)
    stage.gateways.answer = ({ call }) => ({ result: call.method === 'eth_getBlockReceipts' ? [] : '0x1' })
    stage.gateways.receipts.set(hash, receiptOf(stage, hash))
    await stage.clock.elapse(1 * minute)
    expect(await stage.settled(stage.ask('eth_getTransactionReceipt', [hash]))).toEqual({ result: null })
    expect(stage.lies[0]).toMatchObject({ group, gateway: `${group} #0`, what: 'receipt' })
  })

  it('is in no block until the wallet is told of its receipt', async () => {
    const stage = await setStage()
    stage.run()
    const hash = await send(stage, stranger)
    await stage.clock.elapse(1 * second)
    const receipt = receiptOf(stage, hash)
    const { blockHash, blockNumber } = receipt
    const transaction = { hash, blockHash, blockNumber, transactionIndex: '0x0' }
    stage.gateways.answer = () => ({ result: transaction })
    const look = () => stage.settled(stage.ask('eth_getTransactionByHash', [hash]))
    const pending = { ...transaction, blockHash: null, blockNumber: null, transactionIndex: null }
    expect(await look()).toEqual({ result: pending })
    stage.gateways.receipts.set(hash, receipt)
    await stage.clock.elapse(40 * second)
    expect(await look()).toEqual({ result: transaction })
  })

  it('loses its receipt with its block', async () => {
    const stage = await setStage()
    stage.run()
    const hash = await send(stage, stranger)
    await stage.clock.elapse(1 * second)
    await stage.clock.elapse(40 * second)
    stage.gateways.receipts.set(hash, receiptOf(stage, hash))
    await stage.clock.elapse(25 * second)
    const poll = () => stage.settled(stage.ask('eth_getTransactionReceipt', [hash]))
    expect(await poll()).toMatchObject({ result: { transactionHash: hash } })
    stage.gateways.receipts.delete(hash)
    await stage.chain.reorganise(4, new Map())
    stage.gateways.announce()
    await stage.clock.elapse(30 * second)
    expect(await poll()).toEqual({ result: null })
  })
})

describe('a call that names nobody', () => {
  const call = ['eth_call', [balanceOf(stranger), '0x3e8']] as const

  it('counts as compared where two gateways say the same', async () => {
    const stage = await setStage()
    expect(await stage.settled(stage.ask(...call))).toEqual({ result: '0x1' })
    expect(
      sent(stage, 'eth_call')
        .map(([group]) => group)
        .sort(),
    ).toEqual([site, `${site} again`])
    expect(stage.accounts.status.counts).toEqual({ verified: 0, compared: 1, unverified: 0, refuted: 0 })
  })

  it('is not answered, and reported, where they contradict each other', async () => {
    const stage = await setStage()
    stage.gateways.answer = ({ group }) => ({ result: group === site ? '0x1' : '0x2' })
    for (const block of ['0x3e8', 'latest']) {
      expect(codeOf(await stage.settled(stage.ask('eth_call', [balanceOf(stranger), block])))).toBe('answer-refuted')
    }
    expect(stage.disagreements).toMatchObject([{ what: 'call' }, { what: 'call' }])
    expect(stage.accounts.status.counts).toMatchObject({ compared: 0, refuted: 2 })
  })

  it('of the latest block is compared at one block where that was another for each', async () => {
    const stage = await setStage()
    stage.gateways.answer = ({ group, call: { params } }) => {
      const [, block] = params as readonly string[]
      return { result: block === 'latest' ? (group === site ? '0x1' : '0x2') : '0x3' }
    }
    expect(await stage.settled(stage.ask('eth_call', [balanceOf(stranger), 'latest']))).toEqual({ result: '0x3' })
    expect(stage.accounts.status.counts).toMatchObject({ compared: 1 })
  })

  it('stands alone, and says so, where the second does not answer, or either has an error', async () => {
    const stage = await setStage()
    stage.gateways.faults.set(`${site} again`, { isGone: true })
    expect(await stage.settled(stage.ask(...call))).toEqual({ result: '0x1' })
    stage.gateways.faults.clear()
    const error: Outcome = { error: { code: -32000, message: 'header not found' } }
    stage.gateways.answer = ({ group }) => (group === site ? { result: '0x1' } : error)
    expect(await stage.settled(stage.ask(...call))).toEqual({ result: '0x1' })
    expect(stage.accounts.status.counts).toMatchObject({ compared: 0, unverified: 2 })
  })
})
