/** Being connected to the program, and losing it. */
import { bridgeVersion } from '@nightjar/shared/bridge'
import { type ErrorCode, errorTable, NightjarError } from '@nightjar/shared/errors'
import { toRpcError } from '@nightjar/shared/rpc'
import { minute, second } from '@nightjar/shared/runtime'
import { codeOfAsync, pattern, turn } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { hello, setUpLink, upLink } from '../testing/link.ts'

describe('hello', () => {
  test('is said first, and alone; with its answer the link is up', async () => {
    const { link, ports, ups, greet } = setUpLink()
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
    const { link, ports, downs, ups, greet } = setUpLink()
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
    const { link, downs, ports, greet } = setUpLink()
    link.start()
    await greet(changes)
    expect([downs, ports.last.isDisconnected]).toEqual([['host-garbled'], true])
  })

  test('that is answered with an error is that error', async () => {
    const { link, ports, downs } = setUpLink()
    link.start()
    ports.last.receive({ id: 1, error: toRpcError(new NightjarError('limit-reached')) })
    await turn()
    expect(downs).toEqual(['limit-reached'])
  })

  test('that nobody answers ends after 20 seconds', async () => {
    const { clock, link, ports, downs } = setUpLink()
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
    const { link, ports, downs } = setUpLink()
    link.start()
    ports.last.close(text)
    expect(downs).toEqual([code])
    expect(await codeOfAsync(() => link.whenUp())).toBe(code)
  })

  test('is put down to what the program said of itself before', async () => {
    const { link, ports, downs } = setUpLink()
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
    const { link, ports } = setUpLink()
    link.start()
    ports.last.receive({ event: 'failed', ...said })
    ports.last.close()
    expect(await link.whenUp().catch((error) => error)).toMatchObject({ code: 'daemon-failed', detail })
  })

  test('rejects all that is waited for, with its reason', async () => {
    const { link, ports } = await upLink()
    const asked = [
      link.ask('status', {}),
      link.ask('document', {}),
      link.send('follow', { branch: 1, record: '', cells: 4 }).answer,
    ]
    const codes = Promise.all(asked.map((each) => codeOfAsync(() => each)))
    ports.last.close()
    expect(await codes).toEqual(['host-exited', 'host-exited', 'host-exited'])
    expect(link.info).toBeUndefined()
    expect(await codeOfAsync(() => link.ask('status', {}))).toBe('host-exited')
  })
})

describe('connecting again', () => {
  test('waits longer each time, 30 seconds at most', async () => {
    const { clock, link, ports } = setUpLink()
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
    const { clock, link, ports, greet } = setUpLink()
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
    const { clock, link, ports, greet } = setUpLink()
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
    const { clock, link, ports } = setUpLink()
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
    const { link, ports } = setUpLink()
    link.start()
    link.start()
    expect(ports.all).toHaveLength(1)
  })
})

describe('stop', () => {
  test('while it greets', async () => {
    const { clock, link, ports, downs, ups, greet } = setUpLink()
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
    const { clock, link, ports } = await upLink()
    const asked = codeOfAsync(() => link.ask('status', {}))
    link.stop()
    expect(await asked).toBe('turned-off')
    expect([ports.last.isDisconnected, link.info, clock.pending]).toEqual([true, undefined, 0])
    expect(await codeOfAsync(() => link.ask('status', {}))).toBe('turned-off')
  })

  test('while it pauses, and it can be started again', async () => {
    const { clock, link, ports, ups, greet } = setUpLink()
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
    const { link, ports } = setUpLink()
    link.start()
    const waiting = codeOfAsync(() => link.whenUp())
    ports.last.close()
    expect(await waiting).toBe('host-exited')
    expect(await codeOfAsync(() => link.whenUp())).toBe('host-exited')
  })

  test('with patience waits through failures', async () => {
    const { clock, link, ports, greet } = setUpLink()
    link.start()
    const waiting = link.whenUp(5 * second)
    ports.last.close()
    await clock.elapse(second)
    await greet()
    expect((await waiting).version).toBe('0.1.0')
    expect(clock.pending).toBe(0)
  })

  test('for as long as it lasts, then with what is wrong', async () => {
    const { clock, link, ports } = setUpLink()
    link.start()
    ports.last.close('Specified native messaging host not found.')
    const waiting = codeOfAsync(() => link.whenUp(100))
    await clock.elapse(100)
    expect(await waiting).toBe('host-not-installed')
  })

  test('and where nothing is known to be wrong yet, that it took too long', async () => {
    const { clock, link } = setUpLink()
    link.start()
    const waiting = codeOfAsync(() => link.whenUp(second))
    await clock.elapse(second)
    expect(await waiting).toBe('timed-out')
  })

  test.each([undefined, minute])('is over when it is stopped, with patience %s', async (patience) => {
    const { link } = setUpLink()
    link.start()
    const waiting = codeOfAsync(() => link.whenUp(patience))
    link.stop()
    expect(await waiting).toBe('turned-off')
    expect(await codeOfAsync(() => link.whenUp(patience))).toBe('turned-off')
  })
})
