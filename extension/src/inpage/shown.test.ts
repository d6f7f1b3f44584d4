import { describe, expect, test } from 'vitest'
import { parsePageMessage } from '../messages/page.ts'
import { shownBy, shownIn } from './shown.ts'

const account = `0x${'aB'.repeat(20)}`
const hash = `0x${'12'.repeat(32)}`
const sent = { method: 'eth_sendTransaction', params: [{ from: account }] }

describe('accounts are shown', () => {
  test.each(['eth_accounts', 'eth_requestAccounts'])('by the answer to %s', (method) => {
    expect(shownBy({ method }, [account])).toEqual({ accounts: [account] })
  })

  test('by a transaction, with its sender', () => {
    expect(shownBy(sent, hash)).toEqual({ accounts: [account], transaction: hash })
  })

  test.each<[string, Parameters<typeof shownBy>]>([
    ['no accounts', [{ method: 'eth_accounts' }, []]],
    ['what are none', [{ method: 'eth_accounts' }, ['0x12', 5, null, { length: 40 }]]],
    ['no list', [{ method: 'eth_accounts' }, account]],
    ['another answer', [{ method: 'eth_chainId' }, [account]]],
    ['no hash', [sent, '0x12']],
    ['no sender', [{ ...sent, params: [{}] }, hash]],
    ['no transaction', [{ ...sent, params: [null] }, hash]],
    ['no params', [{ method: sent.method }, hash]],
  ])('not by %s', (_, [call, answer]) => {
    expect(shownBy(call, answer)).toBeUndefined()
  })

  test('no more of them than the background takes', () => {
    const many = shownIn(Array.from({ length: 200 }, () => account))
    expect(many?.accounts).toHaveLength(100)
    expect(parsePageMessage(many)).toEqual(many)
  })
})

describe('the background takes', () => {
  test.each([
    [{ accounts: [] }],
    [{ accounts: ['0x12'] }],
    [{ accounts: account }],
    [{ accounts: [account], transaction: '0x12' }],
    [{ accounts: [account], id: 1 }],
    [{ accounts: Array.from({ length: 101 }, () => account) }],
    [{ accounts: [account], method: 'eth_call', chain: 1, door: 'wallet', id: 1 }],
  ])('not %j', (message) => {
    expect(parsePageMessage(message)).toBeUndefined()
  })
})
