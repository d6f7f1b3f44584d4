import { describe, expect, it } from 'vitest'
import { type Header, type Hex, verifyHeader } from '../proofs/index.ts'
import { type Fields, prague, verifiedOf } from '../proofs/testing/vectors.ts'
import type { Call, Json, Outcome } from '../rpc/index.ts'
import { second } from '../runtime.ts'
import { FakeClock } from '../testing/index.ts'
import type { Agreement } from './agreement.ts'
import { BlockLists } from './blockLists.ts'
import type { LieReport } from './context.ts'
import { type LogsOptions, proveLogs, readLogs } from './logs.ts'

/** Of four blocks; the second has many logs of this contract, the last one of it, and the others none. */
const [{ filter, answer }] = prague.logs as [(typeof prague.logs)[number]]
const account: Hex = `0x${'a1'.repeat(20)}`
const callFor = (fromBlock: string, toBlock: string, more: Fields = {}): Call => ({
  method: 'eth_getLogs',
  params: [{ ...filter, ...more, fromBlock, toBlock } as Json],
})
const call = callFor('0x1', '0x3')
const headers = async (): Promise<readonly Header[]> =>
  Promise.all(prague.blocks.map(async ({ block }) => verifiedOf(await verifyHeader(block, block.hash))))

/** A gateway's answers about whole blocks; undefined to anything else. */
function answerOf({ method, params }: Call): Json | undefined {
  const [number, isWhole] = params as readonly Json[]
  const { block, receipts } = prague.blocks[Number(number) - 1] ?? {}
  if (method === 'eth_getBlockReceipts') return (receipts ?? null) as Json
  return method === 'eth_getBlockByNumber' && isWhole === true ? ((block ?? null) as Json) : undefined
}

/** The chain as everybody agrees on it. */
async function headsOf(agreementOn: (number: number, expected?: string) => Partial<Agreement> = () => ({})) {
  const all = await headers()
  const lists = new BlockLists()
  return {
    agree: async (number: number, expected?: string): Promise<Agreement> => {
      const header = all[number - 1]
      if (header === undefined) return { kind: 'unconfirmed' }
      // A test changes no more than the kind of it.
      return { kind: 'agreed', hash: header.hash, header, operators: 2, ...agreementOn(number, expected) } as Agreement
    },
    receipts: lists.receipts.bind(lists),
  }
}

/** An account on that chain, and the blocks whose receipts were asked for, with who was asked. */
async function placeOn(heads?: LogsOptions['heads']) {
  const asked: string[] = []
  const options: LogsOptions = {
    account,
    chain: 1,
    heads: heads ?? (await headsOf()),
    context: {
      clock: new FakeClock(),
      async request({ group, call }) {
        if (call.method === 'eth_getBlockReceipts') asked.push(`${group}: ${(call.params as readonly Json[])[0]}`)
        return { result: answerOf(call) ?? null }
      },
    },
    trust: { lie() {}, disagree() {} },
  }
  return { ...options, asked }
}

describe('logs of a range of blocks', () => {
  it('are verified, and receipts are asked for of those blocks only whose bloom admits any', async () => {
    const place = await placeOn()
    expect(await proveLogs(place, call, { result: answer })).toEqual({ kind: 'verified' })
    expect(await proveLogs(place, call, { result: answer })).toEqual({ kind: 'verified' })
    // Once for all who need them, of the account's own gateway.
    expect(place.asked).toEqual([`account ${account}: 0x2`])
  })

  it('are verified without any receipts where no bloom admits one', async () => {
    const place = await placeOn()
    const other = callFor('0x1', '0x4', { address: `0x${'33'.repeat(20)}` })
    expect(await proveLogs(place, other, { result: [] })).toEqual({ kind: 'verified' })
    expect(place.asked).toEqual([])
    const lie = { kind: 'lie', what: 'log-added', block: { number: 2n } }
    expect(await proveLogs(place, other, { result: answer.slice(0, 1) })).toMatchObject(lie)
  })

  it('are a lie where one is missing, added, altered, of another block, or in another order', async () => {
    const place = await placeOn()
    const [first, second] = answer as [Fields, Fields]
    const lies: readonly (readonly [string, readonly Fields[]])[] = [
      ['log-missing', answer.slice(1)],
      ['log-missing', []],
      ['log-added', [...answer, { ...first, logIndex: '0x40' }]],
      ['log-added', [...answer, { ...first, blockNumber: '0x4' }]],
      ['log-added', [...answer, { ...first, blockNumber: '0x3' }]],
      ['log-altered', answer.with(0, { ...first, data: '0x00' })],
      ['log-order', [second, first, ...answer.slice(2)]],
    ]
    for (const [what, result] of lies) {
      expect(await proveLogs(place, call, { result: result as Json })).toMatchObject({ kind: 'lie', what })
    }
  })

  it('are not verified outside of the bounds, or where blocks or receipts cannot be had', async () => {
    const place = await placeOn()
    const unverified = { kind: 'unverified' }
    const calls = [
      callFor('0x1', '0x11'),
      callFor('0x3', '0x1'),
      callFor('0x1', 'latest'),
      callFor('earliest', '0x2'),
      callFor('0x2', '0x9'),
      { method: 'eth_getLogs', params: [{ ...filter, blockHash: answer[0]?.blockHash } as Json] },
      { method: 'eth_getLogs' },
    ]
    for (const each of calls) expect(await proveLogs(place, each, { result: [] })).toEqual(unverified)
    expect(await proveLogs(place, call, { error: { code: -32000, message: 'too many' } })).toEqual(unverified)
    const disputed = await placeOn(await headsOf(() => ({ kind: 'disputed' })))
    expect(await proveLogs(disputed, call, { result: [] })).toEqual(unverified)
    const headless = await placeOn(await headsOf((number) => (number === 1 ? { header: undefined } : {})))
    expect(await proveLogs(headless, call, { result: [] })).toEqual(unverified)
    const listless = await placeOn({ ...place.heads, receipts: async () => undefined })
    expect(await proveLogs(listless, call, { result: [] })).toEqual(unverified)
  })
})

describe('an account’s gateway', () => {
  /** Answers in their turn, the last of them again and again; each gateway that lied makes room for an honest one. */
  async function read(
    answers: readonly Outcome[],
    { has = '', heads = {} }: { has?: string | null; heads?: object } = {},
  ) {
    const lies: Omit<LieReport, 'at'>[] = []
    let disputes = 0
    let asked = 0
    const clock = new FakeClock()
    const options: LogsOptions = {
      account,
      chain: 1,
      heads: { ...(await headsOf()), ...heads },
      context: {
        clock,
        async request({ group, call: asks }, onAnswered) {
          const { method } = asks
          onAnswered?.(`#${lies.length}`)
          const ofBlock = has === null && group === `account ${account}` ? null : answerOf(asks)
          if (ofBlock !== undefined && method !== 'eth_getLogs') return { result: ofBlock }
          if (method === 'eth_getBlockByNumber') {
            const hash = has === '' ? prague.blocks[1].block.hash : has
            return { result: hash === null ? null : { hash } }
          }
          if (lies.length > 0) return { result: answer }
          asked += 1
          return answers[Math.min(asked, answers.length) - 1] as Outcome
        },
      },
      trust: {
        lie: (lie) => void lies.push(lie),
        disagree: () => {
          disputes += 1
        },
      },
    }
    const reading = readLogs(options, call).catch((error: { readonly code: string }) => error.code)
    let result: Awaited<typeof reading> | undefined
    void reading.then((read) => {
      result = read
    })
    while (result === undefined) await clock.elapse(second)
    return { result, lies, disputes }
  }
  const missing = { result: answer.slice(1) }
  const whole = { result: answer }

  it('that leaves one out is named, and the next one asked', async () => {
    const { result, lies } = await read([missing])
    expect(result).toEqual({ outcome: whole, trust: 'verified' })
    expect(lies).toMatchObject([{ group: `account ${account}`, gateway: '#0', chain: 1, what: 'log-missing' }])
  })

  it('that had not got that far when it was asked is not called a liar', async () => {
    expect(await read([missing, whole])).toEqual({
      result: { outcome: whole, trust: 'verified' },
      lies: [],
      disputes: 0,
    })
  })

  it('that lacks a block which others have is not used, nor called a liar', async () => {
    expect(await read([missing], { has: null })).toEqual({ result: 'answer-refuted', lies: [], disputes: 2 })
  })

  it('that was the first to hear of a reorganisation is not called a liar', async () => {
    const [, { block, receipts }] = prague.blocks
    let isOver = false
    const told: (string | undefined)[] = []
    const all = await headers()
    const agree = async (number: number, expected?: string): Promise<Agreement> => {
      told.push(expected)
      isOver ||= expected !== undefined
      const header = all[number - 1] as Header
      return { kind: 'agreed', hash: header.hash, header: number === 2 && isOver ? undefined : header, operators: 2 }
    }
    expect(receipts.length).toBe(block.transactions.length)
    const { result, lies, disputes } = await read([missing], { has: `0x${'12'.repeat(32)}`, heads: { agree } })
    expect({ result, lies, disputes }).toEqual({
      result: { outcome: missing, trust: 'unverified' },
      lies: [],
      disputes: 0,
    })
    expect(told).toContain(`0x${'12'.repeat(32)}`)
  })
})
