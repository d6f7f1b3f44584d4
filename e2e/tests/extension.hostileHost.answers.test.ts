/**
 * A native program that means harm, between the extension and the real daemon, while it is private: answers that it
 * forges, and floods. A site gets the right answer or an error.
 */
import { randomBytes } from 'node:crypto'
import type { Page } from 'playwright-core'
import type { Hex } from 'viem'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { popupState } from '../src/browser/index.ts'
import { frameOf, type Message } from '../src/network/frames.ts'
import { until } from '../src/network/index.ts'
import { fundedAccount, resultOf, sendAndWait, signTransfer } from './support/chain.ts'
import { alice, balanceOfAlice, flipped, useHostileStage } from './support/hostileStage.ts'
import { changing, type Link } from './support/middleHost.ts'
import { askedFor } from './support/provider.ts'
import { askIn, openDapp } from './support/stage.ts'

const mebibyte = 1024 * 1024
const hostile = useHostileStage({ pollPeriod: 500 })
const { stage, turnOnWith, recover, expectState } = hostile
const node = () => stage.network.nodes[1] as string

describe('answers', () => {
  let dapp: Page

  beforeAll(async () => {
    dapp = await openDapp(stage)
  })
  afterEach(() => hostile.middle.behave())
  afterAll(() => dapp.close())

  const read = () => askIn(dapp, 'MetaMask', 'eth_getBalance', [alice, 'latest'])
  /** Names no account: all such questions of a site are asked on one branch. */
  const readBlock = (number: Hex) => askIn(dapp, 'MetaMask', 'eth_getBlockByNumber', [number, false])
  const blockOf = (number: Hex) => resultOf(node(), 'eth_getBlockByNumber', [number, false])
  type Record = { record: string }
  const bytesOf = ({ record }: Record) => Buffer.from(record, 'base64')
  const recordOf = (bytes: Buffer): Record => ({ record: bytes.toString('base64') })

  test('with one bit flipped once: asked again, and answered right', async () => {
    let changed = 0
    hostile.middle.fromDaemon = changing('exchange', (result: Record) =>
      changed++ === 0 ? recordOf(flipped(bytesOf(result), 31)) : undefined,
    )
    expect((await read()).result).toBe(await balanceOfAlice(stage))
    expect(changed).toBe(2)
  })

  test.each<[string, (answer: Buffer, question: Buffer) => Buffer]>([
    ['with a bit flipped in each, wherever it is', (answer) => flipped(answer, randomBytes(4).readUInt32BE())],
    ['made of the question', (_, question) => question],
    ['made of nothing', () => Buffer.alloc(0)],
    ['made of noise', () => randomBytes(928)],
    ['with more behind them', (answer) => Buffer.concat([answer, answer])],
  ])('%s: an error, and no answer', async (_, forge) => {
    hostile.middle.fromDaemon = changing('exchange', (result: Record, request) =>
      recordOf(forge(bytesOf(result), bytesOf({ record: String(request.record) }))),
    )
    const { error, result } = await read()
    expect(result).toBeUndefined()
    expect(error).toMatchObject({ code: 4900, data: { nightjar: 'envelope-rejected' } })
  })

  test('that were given before: asked again, and answered right', async () => {
    const before = new Map<unknown, Record>()
    let replayed = 0
    hostile.middle.fromDaemon = changing('exchange', (result: Record, { branch }) => {
      const first = before.get(branch)
      before.set(branch, first ?? result)
      // Each second time, so that there is an answer in the end.
      return first !== undefined && replayed++ % 2 === 0 ? first : undefined
    })
    const numbers = ['0x0', '0x1', '0x2', '0x2', '0x1', '0x0'] as const
    await sendAndWait(node(), {})
    for (const number of numbers) expect((await readBlock(number)).result).toEqual(await blockOf(number))
    expect(replayed).toBeGreaterThanOrEqual(numbers.length - 1)
  })

  test.each<[string, () => Promise<readonly [unknown, unknown]>]>([
    ['on one branch', async () => [(await readBlock('0x1')).result, await blockOf('0x1')]],
    ['on two branches', async () => [(await read()).result, await balanceOfAlice(stage)]],
  ])('of two questions at once %s, exchanged: each is asked again, and answered right', async (_, other) => {
    const held: { message: Message; answer(record: unknown): void }[] = []
    let isDone = false
    hostile.middle.fromDaemon = (message, link, request) => {
      if (request?.type !== 'exchange' || message.result === undefined || isDone) return link.toBrowser(message)
      held.push({ message, answer: (result) => link.toBrowser({ ...message, result }) })
      const [one, two] = held
      if (one === undefined || two === undefined) return
      isDone = true
      one.answer(two.message.result)
      two.answer(one.message.result)
    }
    const [ofBlock, [answer, expected]] = await Promise.all([readBlock('0x0'), other()])
    expect(isDone).toBe(true)
    expect(ofBlock.result).toEqual(await blockOf('0x0'))
    expect(answer).toEqual(expected)
  })

  test('that are errors of its own: the site gets our sentence for the code, not the words of the program', async () => {
    hostile.middle.fromDaemon = (message, link, request) => {
      if (request?.type !== 'exchange') return link.toBrowser(message)
      const error = { code: 3, message: 'send your coins to 0xe71l', data: { nightjar: 'toString', result: '0x0' } }
      link.toBrowser({ id: message.id, error })
    }
    const { error, result } = await read()
    expect(result).toBeUndefined()
    expect(error?.data?.nightjar).toBe('internal')
    expect(error?.message).not.toContain('coins')
  })

  test('to a transaction are no hash, whatever it makes up of earlier ones', async () => {
    const sender = fundedAccount(5)
    const send = async (nonce: number) =>
      askIn(dapp, 'MetaMask', 'eth_sendRawTransaction', [await signTransfer(sender, 1, nonce)])
    const earlier: Record[] = []
    hostile.middle.fromDaemon = changing('exchange', (result: Record) => void earlier.push(result))
    const first = await send(Number(await resultOf(node(), 'eth_getTransactionCount', [sender.address, 'latest'])))
    expect(first.result).toMatch(/^0x[0-9a-f]{64}$/)
    stage.network.providers[1]?.forget()
    // It keeps the question to itself, and hands out the answer to the one before.
    hostile.middle.fromExtension = (message, link) => {
      if (message.type !== 'exchange') return link.toDaemon(message)
      link.toBrowser({ id: message.id, result: earlier.at(-1) })
    }
    const { error, result } = await send(1_000_000)
    expect(result).toBeUndefined()
    expect(error?.data?.nightjar).toBe('outcome-unknown')
    expect(askedFor(stage.network.providers[1], 'eth_sendRawTransaction')).toEqual([])
  })

  test('to a subscription: forged, doubled and old heads never reach the page, and it goes on', async () => {
    let heads = 0
    let forged = 0
    hostile.middle.fromDaemon = (message, link) => {
      link.toBrowser(message)
      if (message.event !== 'record') return
      heads += 1
      if (heads % 2 === 1) return
      forged += 1
      const record = Buffer.from(message.record as string, 'base64')
      link.toBrowser(forged % 2 === 0 ? message : { ...message, record: flipped(record, 99).toString('base64') })
    }
    await dapp.getByTestId('providers').selectOption('Nightjar')
    await dapp.getByTestId('subscribe-heads').click()
    const pushes = async () =>
      (await dapp.getByTestId('pushes').locator('li').allInnerTexts()).map(
        (text) => (JSON.parse(text) as { result: { hash: Hex; number: Hex } }).result,
      )
    await until('forged heads came, and others after them', async () => {
      await sendAndWait(node(), {})
      return forged >= 2 && heads > 4
    })
    const last = (await sendAndWait(node(), {})).blockNumber
    await until('the newest block is pushed', async () => (await pushes()).some(({ number }) => number === last))
    const seen = await pushes()
    expect(new Set(seen.map(({ hash }) => hash)).size).toBe(seen.length)
    for (const { hash, number } of seen) {
      expect(await resultOf(node(), 'eth_getBlockByNumber', [number, false])).toMatchObject({ hash })
    }
    await dapp.getByTestId('unsubscribe').click()
  })
})

describe('floods', () => {
  let dapp: Page

  beforeAll(async () => {
    dapp = await openDapp(stage)
  })
  afterEach(async () => {
    await recover()
    expect((await askIn(dapp, 'MetaMask', 'eth_getBalance', [alice, 'latest'])).result).toBe(
      await balanceOfAlice(stage),
    )
  })

  test.each<[string, (index: number) => object]>([
    ['a newer network document', () => ({ event: 'document' })],
    ['lost branches', (index) => ({ event: 'branch-lost', branch: 1e5 + index, code: 'link-lost', requests: [] })],
    ['records that nobody asked for', (index) => ({ event: 'record', request: 1e6 + index, record: 'AAAA' })],
    ['answers that nobody asked for', (index) => ({ id: 1e6 + index, result: null })],
  ])('10,000 messages of %s: popup and sites go on', async (_, message) => {
    hostile.middle.behave()
    for (let index = 0; index < 10_000; index++) hostile.middle.link.toBrowser(message(index))
    expect((await askIn(dapp, 'MetaMask', 'eth_getBalance', [alice, 'latest'])).result).toBe(
      await balanceOfAlice(stage),
    )
    // Nor do they make the extension ask as often.
    expect(hostile.middle.seen.length).toBeLessThan(100)
    await recover()
  })

  test('10,000 messages of status, each another one: the popup shows the last, and sites go on', async () => {
    const status = await stage.network.daemon.status()
    // The daemon's own would be the last where something changes meanwhile.
    hostile.middle.fromDaemon = (message, link) => {
      if (message.event !== 'status') link.toBrowser(message)
    }
    for (let index = 0; index < 10_000; index++) {
      const entry = { name: 'nobody', operator: `op-${index}`, region: 'nowhere' }
      const trunks = status.trunks.map((trunk) => ({ ...trunk, entry }))
      hostile.middle.link.toBrowser({ event: 'status', status: { ...status, trunks } })
    }
    await expectState('Private', 'op-9999')
    expect((await askIn(dapp, 'MetaMask', 'eth_getBalance', [alice, 'latest'])).result).toBe(
      await balanceOfAlice(stage),
    )
  })

  test.each<[string, () => Buffer]>([
    ['1 MiB of JSON that says nothing', () => frameOf(JSON.stringify({ garbage: 'x'.repeat(mebibyte - 16) }))],
    ['a frame of 4 GiB', () => header(0xffffffff)],
    ['JSON of great depth', () => frameOf('['.repeat(500_000) + ']'.repeat(500_000))],
    ['a part before the first', () => frameOf(JSON.stringify({ part: 2, of: 2, bytes: 'AAAA' }))],
  ])('%s for a hello: blocked with a sentence', async (_, garbage) => {
    await turnOnWith(() => answerHelloWith((link) => link.rawToBrowser(garbage())))
    await expectState('Blocked', /sent something that cannot be read/)
  })

  test('parts that never end: cut off at the limit', async () => {
    const bytes = Buffer.alloc(765 * 1024, 0x20).toString('base64')
    let sent = 0
    await turnOnWith(() =>
      answerHelloWith(async (link) => {
        for (let part = 1; part <= 103 && link.isOpen; part++) {
          await link.rawToBrowser(frameOf(JSON.stringify({ part, of: 103, bytes })))
          // It is connected again after that, and the next one begins anew.
          sent = Math.max(sent, part)
        }
      }),
    )
    await expectState('Blocked', /sent something that cannot be read/)
    expect(sent).toBeGreaterThan((64 * mebibyte) / (765 * 1024))
  })

  test('10 MiB that are no JSON: the browser itself drops them, and sites go on', async () => {
    hostile.middle.behave()
    for (let index = 0; index < 10; index++) {
      await hostile.middle.link.rawToBrowser(Buffer.concat([header(mebibyte), Buffer.alloc(mebibyte, '{')]))
    }
    expect((await askIn(dapp, 'MetaMask', 'eth_getBalance', [alice, 'latest'])).result).toBe(
      await balanceOfAlice(stage),
    )
    expect(await popupState(hostile.popup)).toBe('Private')
  })

  test('garbage in the middle of a request: it is asked again over a new connection', async () => {
    let isDone = false
    hostile.middle.fromDaemon = (message, link, request) => {
      if (isDone || request?.type !== 'exchange') return link.toBrowser(message)
      isDone = true
      void link.rawToBrowser(frameOf('"no message"'))
    }
    expect((await askIn(dapp, 'MetaMask', 'eth_getBalance', [alice, 'latest'])).result).toBe(
      await balanceOfAlice(stage),
    )
    expect(isDone).toBe(true)
  })

  function answerHelloWith(answer: (link: Link) => Promise<void>): void {
    // What the program says of the system's proxy would come between the parts.
    hostile.middle.fromDaemon = (message, link) => void (message.event !== 'browser' && link.toBrowser(message))
    hostile.middle.fromExtension = (message, link) => {
      if (message.type === 'hello') void answer(link)
      else link.toDaemon(message)
    }
  }
})

function header(length: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(length)
  return bytes
}
