/**
 * A native program that means harm, between the extension and the real daemon: what it cannot make the extension accept,
 * and what it can claim (docs/threat-model.md, "A hostile native program").
 */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer, request as sendRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import type { Hex } from 'viem'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { extensionIds, type PopupState, popupState, serveFolder, untilPopup } from '../src/browser/index.ts'
import { distFolder, until } from '../src/network/index.ts'
import { fundedAccount, resultOf, sendAndWait, signTransfer } from './support/chain.ts'
import {
  countersign,
  type ListedRelay,
  relaysIn,
  signAsStranger,
  signAt,
  signNewer,
  stolenKeys,
  withEnvelopeKey,
} from './support/documents.ts'
import { frameOf, type Message } from './support/frames.ts'
import { impostorsReply, keyIdIn } from './support/impostor.ts'
import { changing, type MiddleHost, startMiddleHost } from './support/middleHost.ts'
import { askIn, openDapp, useStage } from './support/stage.ts'

const mebibyte = 1024 * 1024
const other = await serveFolder(join(distFolder(), 'dapp'))
const hosts = { 'a.example': other.port, 'b.example': other.port, 'c.example': other.port }
let middle: MiddleHost
let popup: Page
let relays: readonly ListedRelay[]

const stage = useStage({ hosts, pollPeriod: 500 }, async (stage) => {
  middle = await startMiddleHost(stage)
  await middle.install()
  popup = await stage.nightjar.openPopup()
  relays = await relaysIn(stage.network.relays.documentFile)
})
afterAll(async () => {
  await middle.close()
  await other.close()
})
afterEach(() => {
  // Whatever the program did: nothing went to the wallet's own provider once the wallet had agreed to ours.
  expect(stage.leak?.seen).toEqual([])
})

const invented = { name: 'nobody', operator: 'op-nobody', region: 'nowhere' }
const alice = fundedAccount(0).address
const node = () => stage.network.nodes[1] as string
const balance = () => resultOf(node(), 'eth_getBalance', [alice, 'latest'])
const gatewayIds = () => relays.filter(({ roles }) => roles.includes('gateway')).map(({ id }) => id)
const said = (type: string) => middle.seen.filter((message) => message.type === type)

/** Presses whichever of the buttons is there until the headline is `state`: what they do may overtake one another. */
async function pressUntil(state: PopupState, ...names: readonly string[]): Promise<void> {
  await until(`the popup says ${state}`, async () => {
    await popup.evaluate((names) => {
      const buttons = [...document.querySelectorAll('button')].filter(({ innerText }) => names.includes(innerText))
      buttons.at(-1)?.click()
    }, names)
    return (await popupState(popup)) === state
  })
}

/** Off, and on again with the program as `misbehave` makes it. */
async function turnOnWith(misbehave: () => void): Promise<void> {
  await pressUntil('Off', 'Turn off', 'Cancel')
  middle.behave()
  misbehave()
  await popup.getByRole('button', { name: 'Go private' }).click()
}

/** The program is honest again. */
async function recover(): Promise<void> {
  middle.behave()
  await pressUntil('Private', 'Try again')
}

async function expectBlocked(sentence: RegExp): Promise<void> {
  await untilPopup(popup, 'Blocked')
  await popup.getByText(sentence).first().waitFor()
}

/** In answers and events alike. */
function lieInStatus(lie: (status: Record<string, unknown>) => object): void {
  const answers = changing('status', lie)
  middle.fromDaemon = (message, link, request) => {
    if (message.event !== 'status') return answers(message, link, request)
    link.toBrowser({ ...message, status: lie(message.status as Record<string, unknown>) })
  }
}

async function openSite(host: keyof typeof hosts): Promise<Page> {
  const page = await stage.browser.context.newPage()
  await page.goto(`http://${host}/`)
  return page
}

test('its word is taken for what the wallet asked and which relays it uses, not for what the wallet agreed to', async () => {
  const claim = { origin: `chrome-extension://${extensionIds.wallet}`, chain: 1, requests: 7, last: Date.now() }
  let callers: readonly object[] = [claim]
  lieInStatus((status) => {
    const trunks = (status.trunks as readonly object[]).map((trunk) => ({ ...trunk, entry: invented }))
    return { ...status, trunks, callers }
  })
  await popup.getByRole('button', { name: 'Go private' }).click()
  expect((await stage.wallet.prompt()).kind).toBe('add-network')
  expect(await popupState(popup)).toBe('Going private')
  // What the wallet then asks at the real endpoint is kept from the extension.
  callers = []
  await stage.wallet.approve()
  await stage.wallet.approve()
  stage.leak?.forget()
  await popup.getByText(/Open your wallet once/).waitFor()
  callers = [claim]
  // Tells everybody, as something is asked.
  await askIn(await openDapp(stage), 'Nightjar', 'eth_gasPrice')
  await untilPopup(popup, 'Private')
  await popup.getByText(invented.operator).first().waitFor()
})

describe('the gateway’s handshake', () => {
  afterEach(recover)

  test.each<[string, (reply: Buffer, earlier: readonly Buffer[]) => Buffer]>([
    ['with one bit flipped', (reply, { length }) => flipped(reply, length * 97)],
    ['of an earlier handshake', (reply, earlier) => earlier[0] ?? flipped(reply, 0)],
    ['cut short', (reply) => reply.subarray(1)],
    ['of nothing', () => Buffer.alloc(0)],
  ])('answered with a reply %s: blocked, and nothing is asked', async (_, change) => {
    const earlier: Buffer[] = []
    const changeReply = changing('open', (result: { reply: string }) => {
      const reply = Buffer.from(result.reply, 'base64')
      const changed = change(reply, earlier)
      earlier.push(reply)
      return { ...result, reply: changed.toString('base64') }
    })
    await turnOnWith(() => {
      middle.fromDaemon = changeReply
    })
    await expectBlocked(/did not prove who it is/)
    expect(earlier.length).toBeGreaterThan(1)
    expect(said('exchange')).toEqual([])
  })

  test('handed to another gateway than the one it is for: blocked, and nothing is asked', async () => {
    await turnOnWith(() => {
      middle.fromExtension = (message, link) => {
        const gateway = gatewayIds().find((each) => each !== message.gateway)
        link.toDaemon(message.type === 'open' ? { ...message, gateway } : message)
      }
    })
    await untilPopup(popup, 'Blocked')
    expect(said('open').length).toBeGreaterThan(0)
    expect(said('exchange')).toEqual([])
  })

  /** Answers every hello by itself, as if it were the gateway. */
  function answerAs(secretFor: (keyId: string) => Buffer): void {
    let branch = 1000
    middle.fromExtension = ({ id, ...message }, link) => {
      if (message.type !== 'open') return link.toDaemon({ id, ...message })
      const [hello, identity] = [Buffer.from(message.hello as string, 'base64'), message.gateway as string]
      const secret = secretFor(keyIdIn(hello).toString('base64'))
      const reply = impostorsReply(hello, Buffer.from(identity, 'hex'), secret).toString('base64')
      branch += 1
      link.toBrowser({ id, result: { branch, reply } })
    }
  }

  test('answered with keys of its own: blocked, and nothing is asked', async () => {
    await turnOnWith(() => answerAs(() => randomBytes(32)))
    await expectBlocked(/did not prove who it is/)
    expect(said('open').length).toBeGreaterThan(1)
    expect(said('exchange')).toEqual([])
  })

  test('answered with the gateways’ stolen keys: believed, so that the test before is worth something', async () => {
    const stolen = await stolenKeys(stage.network)
    await turnOnWith(() => answerAs((keyId) => stolen.get(keyId) as Buffer))
    await until('it asks', () => said('exchange').length > 0)
  })
})

describe('relays', () => {
  const named = (gateways: (chain: number) => readonly string[]) =>
    changing('gateways', (_: unknown, { chain }) =>
      gateways(chain as number).map((relay) => ({ relay, avoided: false })),
    )

  test.each<[string, keyof typeof hosts, () => string | undefined]>([
    ['that is no gateway', 'a.example', () => relays.find(({ roles }) => !roles.includes('gateway'))?.id],
    ['that nobody knows', 'b.example', () => 'ab'.repeat(32)],
  ])('%s: nothing is sent there, and a site gets an error', async (_, host, relay) => {
    middle.behave()
    middle.fromDaemon = named(() => [relay() as string])
    const site = await openSite(host)
    const { error } = await askIn(site, 'MetaMask', 'eth_getBalance', [alice, 'latest'])
    expect(error).toMatchObject({ code: 4900, data: { nightjar: 'gateway-untrusted' } })
    expect(said('open')).toEqual([])
    middle.behave()
    expect((await askIn(site, 'MetaMask', 'eth_getBalance', [alice, 'latest'])).result).toBe(await balance())
    await site.close()
  })

  test('of another chain: blocked, and nothing is sent there', async () => {
    const gateways = named(gatewayIds)
    await turnOnWith(() => {
      lieInStatus((status) => ({ ...status, chains: [5] }))
      const statuses = middle.fromDaemon
      middle.fromDaemon = ({ error, ...message }, link, request) => {
        if (request?.type !== 'gateways') return statuses(message, link, request)
        // The daemon itself says that nobody serves this chain.
        gateways({ ...message, result: [] }, link, request)
      }
    })
    await expectBlocked(/named a gateway that the network document does not know/)
    expect(said('gateways').length).toBeGreaterThan(0)
    expect(said('open')).toEqual([])
    await recover()
  })
})

describe('answers', () => {
  let dapp: Page

  beforeAll(async () => {
    dapp = await openDapp(stage)
  })
  afterEach(() => middle.behave())
  afterAll(() => dapp.close())

  const read = (address: Hex = alice) => askIn(dapp, 'MetaMask', 'eth_getBalance', [address, 'latest'])
  type Record = { record: string }
  const bytesOf = ({ record }: Record) => Buffer.from(record, 'base64')
  const recordOf = (bytes: Buffer): Record => ({ record: bytes.toString('base64') })

  test('with one bit flipped once: asked again, and answered right', async () => {
    let changed = 0
    middle.fromDaemon = changing('exchange', (result: Record) =>
      changed++ === 0 ? recordOf(flipped(bytesOf(result), 31)) : undefined,
    )
    expect((await read()).result).toBe(await balance())
    expect(changed).toBe(2)
  })

  test.each<[string, (answer: Buffer, question: Buffer) => Buffer]>([
    ['with a bit flipped in each, wherever it is', (answer) => flipped(answer, randomBytes(4).readUInt32BE())],
    ['made of the question', (_, question) => question],
    ['made of nothing', () => Buffer.alloc(0)],
    ['made of noise', () => randomBytes(928)],
    ['with more behind them', (answer) => Buffer.concat([answer, answer])],
  ])('%s: an error, and no answer', async (_, forge) => {
    middle.fromDaemon = changing('exchange', (result: Record, request) =>
      recordOf(forge(bytesOf(result), bytesOf(request as unknown as Record))),
    )
    const { error, result } = await read()
    expect(result).toBeUndefined()
    expect(error).toMatchObject({ code: 4900, data: { nightjar: 'envelope-rejected' } })
  })

  test('that were given before: asked again, and answered right', async () => {
    const before = new Map<unknown, Record>()
    let replayed = 0
    middle.fromDaemon = changing('exchange', (result: Record, { branch }) => {
      const first = before.get(branch)
      before.set(branch, first ?? result)
      // Each second time, so that there is an answer in the end.
      return first !== undefined && replayed++ % 2 === 0 ? first : undefined
    })
    const [bob, carol] = [fundedAccount(1).address, `0x${'77'.repeat(20)}` as Hex]
    const addresses = [alice, bob, carol, carol, bob, alice]
    for (const address of addresses) {
      expect((await read(address)).result).toBe(await resultOf(node(), 'eth_getBalance', [address, 'latest']))
    }
    expect(replayed).toBeGreaterThanOrEqual(addresses.length - 1)
  })

  test('of two questions at once, exchanged for one another: each is asked again, and answered right', async () => {
    const held: { message: Message; answer(record: unknown): void }[] = []
    let isDone = false
    middle.fromDaemon = (message, link, request) => {
      if (request?.type !== 'exchange' || message.result === undefined || isDone) return link.toBrowser(message)
      held.push({ message, answer: (result) => link.toBrowser({ ...message, result }) })
      const [one, two] = held
      if (one === undefined || two === undefined) return
      isDone = true
      one.answer(two.message.result)
      two.answer(one.message.result)
    }
    const poor = `0x${'77'.repeat(20)}` as Hex
    const [ofAlice, ofPoor] = await Promise.all([read(), read(poor)])
    expect(isDone).toBe(true)
    expect(ofAlice.result).toBe(await balance())
    expect(ofPoor.result).toBe('0x0')
  })

  test('that are errors of its own: the site gets our sentence for the code, not the words of the program', async () => {
    middle.fromDaemon = (message, link, request) => {
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
    middle.fromDaemon = changing('exchange', (result: Record) => void earlier.push(result))
    const first = await send(Number(await resultOf(node(), 'eth_getTransactionCount', [sender.address, 'latest'])))
    expect(first.result).toMatch(/^0x[0-9a-f]{64}$/)
    stage.network.providers[1]?.forget()
    // It keeps the question to itself, and hands out the answer to the one before.
    middle.fromExtension = (message, link) => {
      if (message.type !== 'exchange') return link.toDaemon(message)
      link.toBrowser({ id: message.id, result: earlier.at(-1) })
    }
    const { error, result } = await send(1_000_000)
    expect(result).toBeUndefined()
    expect(error?.data?.nightjar).toBe('outcome-unknown')
    expect(stage.network.providers[1]?.seen).toEqual([])
  })

  test('to a subscription: forged, doubled and old heads never reach the page, and it goes on', async () => {
    let heads = 0
    let forged = 0
    middle.fromDaemon = (message, link) => {
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
      return forged >= 3 && heads >= 6
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

describe('the endpoint', () => {
  const withEndpoint = (change: (endpoint: string) => string) =>
    lieInStatus((status) => ({ ...status, endpoint: change(status.endpoint as string) }))

  async function expectNotOurs(): Promise<void> {
    await untilPopup(popup, 'Partly private')
    await popup
      .getByText(/Another program answers on the endpoint/)
      .first()
      .waitFor()
    // Neither is the wallet asked to go there, nor are sites less private for it.
    const urls = stage.browser.context.pages().map((page) => page.url())
    expect(urls.filter((url) => url.includes('notification.html'))).toEqual([])
    const networks = JSON.stringify(await stage.wallet.networks())
    const asked = networks.match(/http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}/g)
    expect(new Set(asked)).toEqual(new Set([stage.network.daemon.url(1).replace(/\/1$/, '')]))
    const dapp = await openDapp(stage)
    expect((await askIn(dapp, 'MetaMask', 'eth_getBalance', [alice, 'latest'])).result).toBe(await balance())
    await dapp.close()
  }

  test('at a port of its own that hands the proof on to the real one: no wallet is sent there', async () => {
    const real = new URL(stage.network.daemon.url(1))
    const asked: string[] = []
    const server = createServer((request, response) => {
      asked.push(request.url ?? '')
      const headers = { host: real.host, origin: `chrome-extension://${extensionIds.nightjar}` }
      const onward = sendRequest(new URL(request.url ?? '', real), { method: 'POST', headers }, (answer) =>
        answer.pipe(response),
      )
      request.pipe(onward)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    await turnOnWith(() => withEndpoint((endpoint) => endpoint.replace(real.host, `127.0.0.1:${port}`)))
    await expectNotOurs()
    expect(asked.some((path) => path.endsWith('/proof'))).toBe(true)
    await recover()
    await new Promise((resolve) => server.close(resolve))
  })

  test.each([
    ['another computer', (url: string) => url.replace('127.0.0.1', '192.0.2.1')],
    ['a name', (url: string) => url.replace('127.0.0.1', 'localhost')],
    ['another name behind ours', (url: string) => url.replace('127.0.0.1', '127.0.0.1@evil.example')],
    ['a port that is none', (url: string) => url.replace(/:\d+\//, ':99999/')],
    ['without its token', (url: string) => url.replace(/[0-9a-f]{32}/, '')],
  ])('at %s: no wallet is sent there', async (_, change) => {
    await turnOnWith(() => withEndpoint(change))
    await expectNotOurs()
    await recover()
  })
})

test('that claims to be private and reaches nobody is found out: blocked', async () => {
  await turnOnWith(() => {
    middle.fromExtension = (message, link) => {
      if (message.type !== 'open') return link.toDaemon(message)
      link.toBrowser({ id: message.id, error: { code: 4900, message: '', data: { nightjar: 'network-unreachable' } } })
    }
  })
  await expectBlocked(/cannot reach its network/)
  await recover()
})

describe('floods', () => {
  let dapp: Page

  beforeAll(async () => {
    dapp = await openDapp(stage)
  })
  afterEach(async () => {
    await recover()
    expect((await askIn(dapp, 'MetaMask', 'eth_getBalance', [alice, 'latest'])).result).toBe(await balance())
  })

  test.each<[string, (index: number) => object]>([
    ['of the network document', () => ({ event: 'document' })],
    [
      'of lost branches',
      (index) => ({ event: 'branch-lost', branch: 100_000 + index, code: 'link-lost', requests: [] }),
    ],
    ['of records that nobody asked for', (index) => ({ event: 'record', request: 1e6 + index, record: 'AAAA' })],
    ['of answers that nobody asked for', (index) => ({ id: 1e6 + index, result: null })],
  ])('10,000 events %s: the popup and sites go on', async (_, event) => {
    for (let index = 0; index < 10_000; index++) middle.link.toBrowser(event(index))
    expect((await askIn(dapp, 'MetaMask', 'eth_getBalance', [alice, 'latest'])).result).toBe(await balance())
    await pressUntil('Off', 'Turn off')
    await pressUntil('Private', 'Go private')
  })

  test('10,000 events of status, each another one: the popup shows the last, and sites go on', async () => {
    const status = (await stage.network.daemon.status()) as unknown as { trunks: readonly object[] }
    for (let index = 0; index < 10_000; index++) {
      const entry = { ...invented, operator: `op-${index}` }
      const trunks = status.trunks.map((trunk) => ({ ...trunk, entry }))
      middle.link.toBrowser({ event: 'status', status: { ...status, trunks } })
    }
    await popup.getByText('op-9999').first().waitFor()
    expect((await askIn(dapp, 'MetaMask', 'eth_getBalance', [alice, 'latest'])).result).toBe(await balance())
  })

  test.each<[string, () => Buffer]>([
    ['1 MiB that is no JSON', () => Buffer.concat([header(mebibyte), Buffer.alloc(mebibyte, 0xff)])],
    ['1 MiB of JSON that says nothing', () => frameOf(JSON.stringify({ garbage: 'x'.repeat(mebibyte - 16) }))],
    ['a frame of 4 GiB', () => header(0xffffffff)],
    ['JSON of great depth', () => frameOf('['.repeat(500_000) + ']'.repeat(500_000))],
    ['a part before the first', () => frameOf(JSON.stringify({ part: 2, of: 2, bytes: 'AAAA' }))],
  ])('%s: blocked with a sentence', async (_, garbage) => {
    await middle.link.rawToBrowser(garbage())
    await expectBlocked(/sent something that cannot be read/)
  })

  test('parts that never end: cut off at the limit', async () => {
    const bytes = Buffer.alloc(765 * 1024, 0x20).toString('base64')
    const { link } = middle
    let sent = 0
    for (; sent < 103 && (await popupState(popup)) === 'Private'; sent++) {
      await link.rawToBrowser(frameOf(JSON.stringify({ part: sent + 1, of: 103, bytes })))
    }
    await expectBlocked(/sent something that cannot be read/)
    expect(sent).toBeGreaterThan(64)
  })
})

describe('the network document', () => {
  const file = (name: string) => join(stage.network.folder, name)
  const text = (name: string) => readFile(file(name), 'utf8')

  beforeAll(async () => {
    const { network } = stage
    await signNewer(network, file('half.json'))
    await countersign(network, file('half.json'), file('newer.json'))
    await signAsStranger(file('half.json'), file('stranger.json'))
    await signAt(network, 3, file('expired.json'))
  })

  const handing = (document: string) => changing('document', () => ({ text: document }))

  test.each<[string, () => Promise<string>, RegExp]>([
    ['that has expired', () => text('expired.json'), /has expired/],
    ['signed by one directory of two', () => text('half.json'), /lacks valid signatures/],
    ['signed by one directory, and by somebody else', () => text('stranger.json'), /lacks valid signatures/],
    [
      'with another envelope key for each gateway',
      async () => withEnvelopeKey(await text('network.json'), randomBytes(32).toString('base64')),
      /lacks valid signatures/,
    ],
    ['that is none', async () => '{"payload":"AAAA","signatures":[]}', /lacks valid signatures/],
    ['that is no JSON', async () => 'x'.repeat(mebibyte), /cannot be read/],
  ])('%s: blocked, and nothing is asked', async (_, document, sentence) => {
    const handed = await document()
    await turnOnWith(() => {
      middle.fromDaemon = handing(handed)
    })
    await expectBlocked(sentence)
    expect(said('document').length).toBeGreaterThan(0)
    expect([...said('gateways'), ...said('open'), ...said('exchange')]).toEqual([])
    await recover()
  })

  test('older than one that was seen: blocked, also after a restart of the browser; the newer one is taken again', async () => {
    const [newer, older] = [await text('newer.json'), await text('network.json')]
    const untilTaken = (count: number) => until('the document is asked for', () => said('document').length >= count)
    middle.behave()
    middle.fromDaemon = handing(newer)
    middle.link.toBrowser({ event: 'document' })
    await untilTaken(1)
    middle.fromDaemon = handing(older)
    middle.link.toBrowser({ event: 'document' })
    await untilTaken(2)
    await expectBlocked(/older than, or differs from, one already seen/)

    middle.fromDaemon = handing(older)
    await stage.restartBrowser()
    popup = await stage.nightjar.openPopup()
    await expectBlocked(/older than, or differs from, one already seen/)
    const dapp = await openDapp(stage)
    await until('the page is covered', async () => (await askIn(dapp, 'Nightjar', 'eth_chainId')).error === undefined)
    const { error } = await askIn(dapp, 'Nightjar', 'eth_getBalance', [alice, 'latest'])
    expect(error).toMatchObject({ code: 4900, data: { nightjar: 'document-rolled-back' } })

    middle.fromDaemon = handing(newer)
    await untilPopup(popup, 'Private')
    expect((await askIn(dapp, 'Nightjar', 'eth_getBalance', [alice, 'latest'])).result).toBe(await balance())
  })
})

function header(length: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(length)
  return bytes
}

/** A copy in which bit `at` is another, counted around the end. */
function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  const index = Math.floor(at / 8) % copy.length
  copy[index] = (copy[index] as number) ^ (1 << (at % 8))
  return copy
}
