import { type BridgeEvent, bridgeVersion, toParts } from '@nightjar/shared/bridge'
import { base64 } from '@nightjar/shared/bytes'
import { type ErrorCode, errorTable, NightjarError } from '@nightjar/shared/errors'
import { toRpcError } from '@nightjar/shared/rpc'
import { minute, second } from '@nightjar/shared/runtime'
import { codeOfAsync, FakeClock, pattern, turn } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { idleStatus } from '../testing/fixtures.ts'
import { ScriptedPorts } from '../testing/ports.ts'
import { HostLink } from './hostLink.ts'

const hello = { bridge: bridgeVersion, version: '0.1.0', proofKey: base64(pattern(32)) }

function setUp() {
  const clock = new FakeClock()
  const ports = new ScriptedPorts()
  const events: BridgeEvent[] = []
  const ups: number[] = []
  const downs: ErrorCode[] = []
  const link = new HostLink({
    clock,
    version: '0.1.0',
    connectNative: ports.connect,
    onUp: () => ups.push(clock.now()),
    onDown: ({ code }) => downs.push(code),
    onEvent: (event) => events.push(event),
  })
  /** The program's answer to what was asked last, or to the request with `id`. */
  const answer = (result: unknown, id = (ports.last.posted.at(-1) as { id: number }).id) =>
    ports.last.receive({ id, result })
  const greet = async (changes = {}) => {
    answer({ ...hello, ...changes })
    await turn()
  }
  return { clock, ports, events, ups, downs, link, answer, greet }
}

async function up() {
  const all = setUp()
  all.link.start()
  await all.greet()
  return all
}

describe('hello', () => {
  test('is said first, and alone; with its answer the link is up', async () => {
    const { link, ports, ups, greet } = setUp()
    link.start()
    expect(ports.last.posted).toEqual([{ id: 1, type: 'hello', bridge: bridgeVersion, version: '0.1.0' }])
    expect(await codeOfAsync(() => link.ask('status', {}))).toBe('host-exited')
    expect([ports.last.posted.length, ups.length, link.info]).toEqual([1, 0, undefined])
    await greet()
    expect(ups).toHaveLength(1)
    expect(link.info).toEqual({ ...hello, proofKey: pattern(32) })
  })

  test.each([
    [bridgeVersion - 1, 'host-outdated'],
    [bridgeVersion + 1, 'extension-outdated'],
  ])('version %i of the program is %s', async (bridge, code) => {
    const { link, ports, downs, ups, greet } = setUp()
    link.start()
    await greet({ bridge })
    expect([downs, ups, ports.last.isDisconnected]).toEqual([[code], [], true])
    expect(await codeOfAsync(() => link.whenUp())).toBe(code)
  })

  test.each([
    ['without its key', { proofKey: undefined }],
    ['with a key that is not base64', { proofKey: '*' }],
    ['with no number of its version', { bridge: '1' }],
  ])('%s is garbled, at once', async (_, changes) => {
    const { link, downs, ports, greet } = setUp()
    link.start()
    await greet(changes)
    expect([downs, ports.last.isDisconnected]).toEqual([['host-garbled'], true])
  })

  test('that is answered with an error is that error', async () => {
    const { link, ports, downs } = setUp()
    link.start()
    ports.last.receive({ id: 1, error: toRpcError(new NightjarError('limit-reached')) })
    await turn()
    expect(downs).toEqual(['limit-reached'])
  })

  test('that nobody answers ends after 20 seconds', async () => {
    const { clock, link, ports, downs } = setUp()
    link.start()
    await clock.elapse(20 * second - 1)
    expect(downs).toEqual([])
    await clock.elapse(1)
    expect([downs, ports.all[0]?.isDisconnected]).toEqual([['timed-out'], true])
  })
})

describe('the end of the program', () => {
  test.each<[string | undefined, ErrorCode]>([
    ['Specified native messaging host not found.', 'host-not-installed'],
    ['No such native application io.nightjar.host', 'host-not-installed'],
    ['Failed to start native messaging host.', 'host-not-installed'],
    ['Access to the specified native messaging host is forbidden.', 'host-forbidden'],
    ['Error when communicating with the native messaging host.', 'host-garbled'],
    ['Native host has exited.', 'host-exited'],
    ['A text of a later Chrome.', 'host-exited'],
    [undefined, 'host-exited'],
  ])('%s → %s', async (text, code) => {
    const { link, ports, downs } = setUp()
    link.start()
    ports.last.close(text)
    expect(downs).toEqual([code])
    expect(await codeOfAsync(() => link.whenUp())).toBe(code)
  })

  test('is put down to what the program said of itself before', async () => {
    const { link, ports, downs } = setUp()
    link.start()
    ports.last.receive({ event: 'failed', code: 'config-invalid', detail: 'line 3' })
    ports.last.close('Native host has exited.')
    const { code, detail } = (await link.whenUp().catch((error) => error)) as NightjarError
    expect([downs, code]).toEqual([['daemon-failed'], 'daemon-failed'])
    expect(detail).toBe(`${errorTable['config-invalid'].sentence} line 3`)
  })

  test.each([
    [{ code: 'daemon-failed', detail: 'it ended at once' }, 'it ended at once'],
    [{ code: 'of-a-newer-version' }, undefined],
  ])('a reason adds nothing twice: %j', async (said, detail) => {
    const { link, ports } = setUp()
    link.start()
    ports.last.receive({ event: 'failed', ...said })
    ports.last.close()
    expect(await link.whenUp().catch((error) => error)).toMatchObject({ code: 'daemon-failed', detail })
  })

  test('rejects all that is waited for, with its reason', async () => {
    const { link, ports } = await up()
    const asked = [link.ask('status', {}), link.ask('document', {}), link.send('follow', anyFollow).answer]
    const codes = Promise.all(asked.map((each) => codeOfAsync(() => each)))
    ports.last.close()
    expect(await codes).toEqual(['host-exited', 'host-exited', 'host-exited'])
    expect(link.info).toBeUndefined()
    expect(await codeOfAsync(() => link.ask('status', {}))).toBe('host-exited')
  })
})

const anyFollow = { branch: 1, record: '', cells: 4 }

describe('what cannot be read ends the connection', () => {
  test.each<[string, readonly unknown[]]>([
    ['nothing', [null]],
    ['a text', ['hello']],
    ['a number', [1]],
    ['an empty object', [{}]],
    ['an answer without an id', [{ result: 1 }]],
    ['an answer with more than it should have', [{ id: 1, result: 1, extra: 1 }]],
    ['an event of no kind', [{ event: 'unheard-of' }]],
    ['an event with more than it should have', [{ event: 'document', more: 1 }]],
    ['a record that is not base64', [{ event: 'record', request: 1, record: '*' }]],
    ['a status without chains', [{ event: 'status', status: { ...idleStatus, chains: undefined } }]],
    ['a part out of order', [{ part: 2, of: 2, bytes: 'AAAA' }]],
    ['more parts than there can be', [{ part: 1, of: 1000, bytes: 'AAAA' }]],
    ['a message between parts', [{ part: 1, of: 2, bytes: 'AAAA' }, { event: 'document' }]],
    ['parts that change their number', [{ part: 1, of: 2, bytes: 'AAAA' }, { part: 2, of: 3, bytes: 'AAAA' }]],
    ['parts that are no JSON together', [{ part: 1, of: 2, bytes: 'AAAA' }, { part: 2, of: 2, bytes: 'AAAA' }]],
    ['an empty part', [{ part: 1, of: 2, bytes: '' }]],
  ])('%s', async (_, messages) => {
    const { link, ports, downs, events } = await up()
    const asked = link.ask('document', {})
    const code = codeOfAsync(() => asked)
    for (const message of messages) ports.last.receive(message)
    expect([downs, ports.last.isDisconnected, events]).toEqual([['host-garbled'], true, []])
    expect(await code).toBe('host-garbled')
  })

  test('a result of the wrong form, and whoever asked for it is told', async () => {
    const { link, ports, downs, answer } = await up()
    const asked = codeOfAsync(() => link.ask('document', {}))
    answer({ text: 1 })
    expect(await asked).toBe('host-garbled')
    expect([downs, ports.last.isDisconnected]).toEqual([['host-garbled'], true])
  })

  test('and what that program says afterwards is not heard', async () => {
    const { ports, downs, events } = await up()
    const [first] = ports.all
    ports.last.receive(null)
    first?.receive({ event: 'document' })
    first?.close()
    expect([downs, events]).toEqual([['host-garbled'], []])
  })
})

describe('requests', () => {
  test('are answered in whatever order, each with its own', async () => {
    const { link, answer } = await up()
    const asked = [link.ask('document', {}), link.ask('document', {})]
    answer({ text: 'second' }, 3)
    answer({ text: 'first' }, 2)
    expect(await Promise.all(asked)).toEqual([{ text: 'first' }, { text: 'second' }])
  })

  test('answers that nobody asked for, or twice, are nothing', async () => {
    const { link, answer, downs } = await up()
    answer({ text: 'unasked' }, 77)
    answer(hello, 1)
    const asked = link.ask('document', {})
    answer({ text: 'once' })
    answer({ text: 'twice' })
    expect(await asked).toEqual({ text: 'once' })
    expect(downs).toEqual([])
  })

  test('large ones go out as parts, and large answers come as parts', async () => {
    const { link, ports } = await up()
    const record = base64(new Uint8Array(600_000))
    const asked = link.ask('exchange', { branch: 1, record })
    expect(ports.last.posted.slice(1).map((part) => (part as { part: number }).part)).toEqual([1, 2])
    for (const part of toParts({ id: 2, result: { record } })) ports.last.receive(part)
    expect((await asked).record).toHaveLength(600_000)
  })

  test.each<[unknown, ErrorCode, unknown]>([
    [toRpcError(new NightjarError('chain-not-served', { facts: { chain: 5 } })), 'chain-not-served', { chain: 5 }],
    [{ code: 1, message: 'of a newer version', data: { nightjar: 'unheard-of' } }, 'internal', undefined],
    [{ code: 1, message: 'no data' }, 'internal', undefined],
    [{ code: 1, message: 'data that is a text', data: 'text' }, 'internal', undefined],
    [{ code: 1, message: 'data that is null', data: null }, 'internal', undefined],
    [{ code: 1, message: 'a name of Object', data: { nightjar: 'constructor' } }, 'internal', undefined],
  ])('the error %j is %s', async (error, code, facts) => {
    const { link, ports } = await up()
    const asked = link.ask('status', {}).catch((each) => each)
    ports.last.receive({ id: 2, error })
    expect(await asked).toMatchObject({ code, facts })
  })

  test('that get no answer end after 45 seconds; a late answer is nothing', async () => {
    const { clock, link, answer, downs } = await up()
    const asked = codeOfAsync(() => link.ask('status', {}))
    await clock.elapse(45 * second)
    expect(await asked).toBe('timed-out')
    answer(idleStatus)
    expect([downs, clock.pending]).toEqual([[], 0])
  })

  test('those that follow something have no such limit', async () => {
    const { clock, link, answer } = await up()
    const { answer: end } = link.send('follow', anyFollow)
    await clock.elapse(10 * minute)
    answer(null)
    expect(await end).toBeNull()
  })

  test('of a lost branch are rejected, those that the event names and no others', async () => {
    const { link, ports, answer, events } = await up()
    const [one, two, three] = [1, 2, 3].map((branch) => link.ask('exchange', { branch, record: '' }))
    const codes = Promise.all([one, three].map((each) => codeOfAsync(() => each)))
    ports.last.receive({ event: 'branch-lost', branch: 1, code: 'link-lost', requests: [2, 4, 99] })
    expect(await codes).toEqual(['link-lost', 'link-lost'])
    answer({ record: 'AAAA' }, 3)
    expect((await two)?.record).toHaveLength(3)
    expect(events).toMatchObject([{ event: 'branch-lost', branch: 1 }])
  })

  test('of a branch that is lost for an unknown reason are rejected too', async () => {
    const { link, ports } = await up()
    const asked = codeOfAsync(() => link.ask('exchange', { branch: 1, record: '' }))
    ports.last.receive({ event: 'branch-lost', branch: 1, code: 'unheard-of', requests: [2] })
    expect(await asked).toBe('internal')
  })
})

describe('connecting again', () => {
  test('waits longer each time, 30 seconds at most', async () => {
    const { clock, link, ports } = setUp()
    link.start()
    const pauses: number[] = []
    for (let failure = 0; failure < 10; failure++) {
      const before = clock.now()
      const { length } = ports.all
      ports.last.close()
      while (ports.all.length === length) clock.advance(250)
      pauses.push(clock.now() - before)
    }
    expect(pauses).toEqual([250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
  })

  test('begins with short pauses again once a connection has held', async () => {
    const { clock, link, ports, greet } = setUp()
    link.start()
    for (const pause of [250, 500, 1000]) {
      ports.last.close()
      clock.advance(pause)
    }
    await greet()
    await clock.elapse(10 * second)
    ports.last.close()
    clock.advance(249)
    expect(ports.all).toHaveLength(4)
    clock.advance(1)
    expect(ports.all).toHaveLength(5)
  })

  // A program that greets and falls over was started four times a second, for ever.
  test('does not, where each connection is lost at once', async () => {
    const { clock, link, ports, greet } = setUp()
    link.start()
    for (const pause of [250, 500, 1000, 2000]) {
      await greet()
      ports.last.close()
      const { length } = ports.all
      clock.advance(pause - 1)
      expect(ports.all).toHaveLength(length)
      clock.advance(1)
      expect(ports.all).toHaveLength(length + 1)
    }
  })

  test('comes at once where it is hurried, and once', async () => {
    const { clock, link, ports } = setUp()
    link.hurry()
    expect(ports.all).toHaveLength(0)
    link.start()
    link.hurry()
    expect(ports.all).toHaveLength(1)
    ports.last.close()
    link.hurry()
    link.hurry()
    expect(ports.all).toHaveLength(2)
    clock.advance(minute)
    expect(ports.all).toHaveLength(2)
  })

  test('starting twice connects once', () => {
    const { link, ports } = setUp()
    link.start()
    link.start()
    expect(ports.all).toHaveLength(1)
  })
})

describe('stop', () => {
  test('while it greets', async () => {
    const { clock, link, ports, downs, ups, greet } = setUp()
    link.start()
    link.stop()
    await greet()
    await clock.elapse(minute)
    expect([ports.all.length, ports.last.isDisconnected, downs, ups, clock.pending]).toEqual([
      1,
      true,
      ['turned-off'],
      [],
      0,
    ])
  })

  test('while it is up: what is waited for is rejected', async () => {
    const { clock, link, ports } = await up()
    const asked = codeOfAsync(() => link.ask('status', {}))
    link.stop()
    expect(await asked).toBe('turned-off')
    expect([ports.last.isDisconnected, link.info, clock.pending]).toEqual([true, undefined, 0])
    expect(await codeOfAsync(() => link.ask('status', {}))).toBe('turned-off')
  })

  test('while it pauses, and it can be started again', async () => {
    const { clock, link, ports, ups, greet } = setUp()
    link.start()
    ports.last.close()
    link.stop()
    clock.advance(minute)
    expect(ports.all).toHaveLength(1)
    link.start()
    await greet()
    expect([ports.all.length, ups.length]).toEqual([2, 1])
  })
})

describe('whenUp', () => {
  test('without patience waits for the first failure, and no longer', async () => {
    const { link, ports } = setUp()
    link.start()
    const waiting = codeOfAsync(() => link.whenUp())
    ports.last.close()
    expect(await waiting).toBe('host-exited')
    expect(await codeOfAsync(() => link.whenUp())).toBe('host-exited')
  })

  test('with patience waits through failures', async () => {
    const { clock, link, ports, greet } = setUp()
    link.start()
    const waiting = link.whenUp(5 * second)
    ports.last.close()
    await clock.elapse(second)
    await greet()
    expect((await waiting).version).toBe('0.1.0')
    expect(clock.pending).toBe(0)
  })

  test('for as long as it lasts, then with what is wrong', async () => {
    const { clock, link, ports } = setUp()
    link.start()
    ports.last.close('Specified native messaging host not found.')
    const waiting = codeOfAsync(() => link.whenUp(100))
    await clock.elapse(100)
    expect(await waiting).toBe('host-not-installed')
  })

  test('and where nothing is known to be wrong yet, that it took too long', async () => {
    const { clock, link } = setUp()
    link.start()
    const waiting = codeOfAsync(() => link.whenUp(second))
    await clock.elapse(second)
    expect(await waiting).toBe('timed-out')
  })

  test.each([undefined, minute])('is over when it is stopped, with patience %s', async (patience) => {
    const { link } = setUp()
    link.start()
    const waiting = codeOfAsync(() => link.whenUp(patience))
    link.stop()
    expect(await waiting).toBe('turned-off')
    expect(await codeOfAsync(() => link.whenUp(patience))).toBe('turned-off')
  })
})
