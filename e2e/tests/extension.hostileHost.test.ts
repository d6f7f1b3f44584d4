/**
 * A native program that means harm, between the extension and the real daemon, on the way to Private: what it cannot make
 * the extension accept, and what it can claim (docs/threat-model.md, "A hostile native program").
 */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer, request as sendRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { extensionIds, popupState, serveFolder, untilPopup } from '../src/browser/index.ts'
import { distFolder, until } from '../src/network/index.ts'
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
import { alice, balanceOfAlice, flipped, useHostileStage } from './support/hostileStage.ts'
import { impostorsReply, keyIdIn } from './support/impostor.ts'
import { changing } from './support/middleHost.ts'
import { askIn, openDapp } from './support/stage.ts'

const mebibyte = 1024 * 1024
const other = await serveFolder(join(distFolder(), 'dapp'))
const hosts = { 'a.example': other.port, 'b.example': other.port }
const hostile = useHostileStage({ hosts, pollPeriod: 500 })
const { stage, said, turnOnWith, recover, expectState, lieInStatus } = hostile
let relays: readonly ListedRelay[]

beforeAll(async () => {
  relays = await relaysIn(stage.network.relays.documentFile)
})
afterAll(() => other.close())

const gatewayIds = () => relays.filter(({ roles }) => roles.includes('gateway')).map(({ id }) => id)

async function openSite(host: keyof typeof hosts): Promise<Page> {
  const page = await stage.browser.context.newPage()
  await page.goto(`http://${host}/`)
  return page
}

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
      hostile.middle.fromDaemon = changeReply
    })
    await expectState('Blocked', /did not prove who it is/)
    expect(earlier.length).toBeGreaterThan(1)
    expect(said('exchange')).toEqual([])
  })

  test('handed to another gateway than the one it is for: blocked, and nothing is asked', async () => {
    await turnOnWith(() => {
      hostile.middle.fromExtension = (message, link) => {
        const gateway = gatewayIds().find((each) => each !== message.gateway)
        link.toDaemon(message.type === 'open' ? { ...message, gateway } : message)
      }
    })
    await untilPopup(hostile.popup, 'Blocked')
    expect(said('open').length).toBeGreaterThan(0)
    expect(said('exchange')).toEqual([])
  })

  /** Answers every hello by itself, as if it were the gateway. */
  function answerAs(secretFor: (keyId: string) => Buffer): void {
    let branch = 1000
    hostile.middle.fromExtension = ({ id, ...message }, link) => {
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
    await expectState('Blocked', /did not prove who it is/)
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
    hostile.middle.behave()
    hostile.middle.fromDaemon = named(() => [relay() as string])
    const site = await openSite(host)
    const { error } = await askIn(site, 'MetaMask', 'eth_getBalance', [alice, 'latest'])
    expect(error).toMatchObject({ code: 4900, data: { nightjar: 'gateway-untrusted' } })
    expect(said('open')).toEqual([])
    hostile.middle.behave()
    expect((await askIn(site, 'MetaMask', 'eth_getBalance', [alice, 'latest'])).result).toBe(
      await balanceOfAlice(stage),
    )
    await site.close()
  })

  test('of another chain: blocked, and nothing is sent there', async () => {
    const gateways = named(gatewayIds)
    await turnOnWith(() => {
      lieInStatus((status) => ({ ...status, chains: [5] }))
      const statuses = hostile.middle.fromDaemon
      hostile.middle.fromDaemon = ({ error, ...message }, link, request) => {
        if (request?.type !== 'gateways') return statuses(message, link, request)
        // The daemon itself says that nobody serves this chain.
        gateways({ ...message, result: [] }, link, request)
      }
    })
    await expectState('Blocked', /named a gateway that the network document does not know/)
    expect(said('gateways').length).toBeGreaterThan(0)
    expect(said('open')).toEqual([])
    await recover()
  })
})

describe('the endpoint', () => {
  const withEndpoint = (change: (endpoint: string) => string) =>
    lieInStatus((status) => ({ ...status, endpoint: change(status.endpoint as string) }))

  async function expectNotOurs(): Promise<void> {
    await expectState('Partly private', /Another program answers on the endpoint/)
    // Neither is the wallet asked to go there, nor are sites less private for it.
    const urls = stage.browser.context.pages().map((page) => page.url())
    expect(urls.filter((url) => url.includes('notification.html'))).toEqual([])
    const networks = JSON.stringify(await stage.wallet.networks())
    const asked = networks.match(/http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}/g)
    expect(new Set(asked)).toEqual(new Set([stage.network.daemon.url(1).replace(/\/1$/, '')]))
    const dapp = await openDapp(stage)
    expect((await askIn(dapp, 'MetaMask', 'eth_getBalance', [alice, 'latest'])).result).toBe(
      await balanceOfAlice(stage),
    )
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
    hostile.middle.fromExtension = (message, link) => {
      if (message.type !== 'open') return link.toDaemon(message)
      link.toBrowser({ id: message.id, error: { code: 4900, message: '', data: { nightjar: 'network-unreachable' } } })
    }
  })
  await expectState('Blocked', /cannot reach its network/)
  await recover()
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
      hostile.middle.fromDaemon = handing(handed)
    })
    await expectState('Blocked', sentence)
    expect(said('document').length).toBeGreaterThan(0)
    expect([...said('gateways'), ...said('open'), ...said('exchange')]).toEqual([])
    await recover()
  })

  test('older than one that was seen: blocked, also after a restart of the browser; the newer one is taken again', async () => {
    const [newer, older] = [await text('newer.json'), await text('network.json')]
    const untilTaken = (count: number) => until('the document is asked for', () => said('document').length >= count)
    hostile.middle.behave()
    hostile.middle.fromDaemon = handing(newer)
    hostile.middle.link.toBrowser({ event: 'document' })
    await untilTaken(1)
    hostile.middle.fromDaemon = handing(older)
    hostile.middle.link.toBrowser({ event: 'document' })
    await untilTaken(2)
    await expectState('Blocked', /older than, or differs from, one already seen/)

    hostile.middle.fromDaemon = handing(older)
    await stage.restartBrowser()
    await hostile.reopen()
    await expectState('Blocked', /older than, or differs from, one already seen/)
    const dapp = await openDapp(stage)
    await until('the page is covered', async () => (await askIn(dapp, 'Nightjar', 'eth_chainId')).error === undefined)
    const { error } = await askIn(dapp, 'Nightjar', 'eth_getBalance', [alice, 'latest'])
    expect(error).toMatchObject({ code: 4900, data: { nightjar: 'document-rolled-back' } })

    hostile.middle.fromDaemon = handing(newer)
    await untilPopup(hostile.popup, 'Private')
    expect((await askIn(dapp, 'Nightjar', 'eth_getBalance', [alice, 'latest'])).result).toBe(
      await balanceOfAlice(stage),
    )
  })
})

test('its word is taken for what the wallet asked and which relays it uses, not for what the wallet agreed to', async () => {
  const invented = { name: 'nobody', operator: 'op-nobody', region: 'nowhere' }
  const claim = { origin: `chrome-extension://${extensionIds.wallet}`, chain: 1, requests: 7, last: Date.now() }
  let callers: readonly object[] = [claim]
  hostile.middle.behave()
  await stage.replaceBrowser()
  await hostile.middle.install()
  await hostile.reopen()
  lieInStatus((status) => {
    const trunks = (status.trunks as readonly object[]).map((trunk) => ({ ...trunk, entry: invented }))
    return { ...status, trunks, callers }
  })
  await hostile.popup.getByRole('button', { name: 'Go private' }).click()
  expect((await stage.wallet.prompt()).kind).toBe('add-network')
  expect(await popupState(hostile.popup)).toBe('Going private')
  // What the wallet then asks at the real endpoint is kept from the extension.
  callers = []
  await stage.wallet.approve()
  await stage.wallet.approve()
  stage.leak?.forget()
  await expectState('Going private', /Open your wallet once/)
  callers = [{ ...claim, last: Date.now() }]
  // The daemon tells everybody, as something is asked.
  await askIn(await openDapp(stage), 'Nightjar', 'eth_gasPrice')
  await expectState('Private', invented.operator)
})
