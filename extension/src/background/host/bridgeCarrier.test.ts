import { bridgeVersion } from '@nightjar/shared/bridge'
import { base64 } from '@nightjar/shared/bytes'
import { type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { toRpcError } from '@nightjar/shared/rpc'
import { minute } from '@nightjar/shared/runtime'
import { codeOfAsync, FakeClock, pattern, turn } from '@nightjar/shared/testing'
import { expect, test } from 'vitest'
import { ScriptedPorts } from '../testing/ports.ts'
import { Carriers } from './bridgeCarrier.ts'
import { errorOfCode } from './errors.ts'
import { HostLink } from './hostLink.ts'

const group = 'ab'.repeat(32)
const gateway = 'cd'.repeat(32)
const way = { group, gateway, hidesMiddle: true }

async function setUp() {
  const clock = new FakeClock()
  const ports = new ScriptedPorts()
  const link = new HostLink({
    clock,
    version: '0.1.0',
    connectNative: ports.connect,
    onUp: () => undefined,
    onDown: (error) => carriers.loseAll(error),
    onEvent(event) {
      if (event.event === 'record') carriers.onRecord(event.request, event.record)
      if (event.event === 'branch-lost') carriers.onLost(event.branch, errorOfCode(event.code))
    },
  })
  const carriers = new Carriers(link)
  const last = () => ports.last.posted.at(-1) as { id: number; type: string }
  const greet = async () => {
    ports.last.receive({
      id: last().id,
      result: { bridge: bridgeVersion, version: '1', proofKey: base64(pattern(32)) },
    })
    await turn()
  }
  link.start()
  await greet()
  const open = async (branch = 1) => {
    const opening = carriers.open(way, pattern(4))
    ports.last.receive({ id: last().id, result: { branch, reply: base64(pattern(8)) } })
    return (await opening).carrier
  }
  return { clock, ports, carriers, last, greet, open }
}

/** A handler that writes down what it hears. */
function listener() {
  const heard: (string | ErrorCode)[] = []
  return {
    heard,
    onRecord: (record: Uint8Array) => heard.push(base64(record)),
    onEnd: (code: ErrorCode) => heard.push(code),
  }
}

test('opens a branch for a group and carries records', async () => {
  const { ports, open, last } = await setUp()
  const carrier = await open(7)
  expect(last()).toMatchObject({ type: 'open', ...way, hello: base64(pattern(4)) })
  const asked = carrier.exchange(pattern(5))
  expect(last()).toMatchObject({ type: 'exchange', branch: 7, record: base64(pattern(5)) })
  ports.last.receive({ id: last().id, result: { record: base64(pattern(6)) } })
  expect(await asked).toEqual(pattern(6))
})

test('has the daemon keep a branch, before what is followed on it', async () => {
  const { ports, open } = await setUp()
  const carrier = await open(7)
  carrier.keep(90 * minute)
  const { heard: _, ...handler } = listener()
  carrier.follow(pattern(5), 4, handler)
  expect(ports.last.posted.slice(-2)).toMatchObject([
    { type: 'keep', branch: 7, seconds: 5400 },
    { type: 'follow', branch: 7 },
  ])
})

test('what is followed is heard until its end, and once', async () => {
  const { ports, open, last } = await setUp()
  const carrier = await open()
  const { heard, ...handler } = listener()
  carrier.follow(pattern(5), 4, handler)
  const { id } = last()
  expect(last()).toMatchObject({ type: 'follow', branch: 1, record: base64(pattern(5)), cells: 4 })
  ports.last.receive({ event: 'record', request: id, record: 'AAAA' })
  ports.last.receive({ event: 'record', request: id + 1, record: 'BBBB' })
  ports.last.receive({ id, result: null })
  await turn()
  ports.last.receive({ event: 'record', request: id, record: 'CCCC' })
  expect(heard).toEqual(['AAAA', 'done'])
})

test('its end may be an error, of the daemon or of the connection', async () => {
  const { ports, open, last } = await setUp()
  const carrier = await open()
  const [one, two] = [listener(), listener()]
  carrier.follow(pattern(5), 4, one)
  ports.last.receive({ id: last().id, error: toRpcError(new NightjarError('limit-reached')) })
  carrier.follow(pattern(5), 4, two)
  await turn()
  ports.last.close()
  await turn()
  expect([one.heard, two.heard]).toEqual([['limit-reached'], ['host-exited']])
})

test('who stops following hears nothing more, and the daemon is told', async () => {
  const { ports, open, last } = await setUp()
  const carrier = await open()
  const { heard, ...handler } = listener()
  const following = carrier.follow(pattern(5), 4, handler)
  const { id } = last()
  following.stop()
  following.stop()
  expect(ports.last.posted.slice(-2)).toMatchObject([{ type: 'follow' }, { type: 'cancel', request: id }])
  ports.last.receive({ event: 'record', request: id, record: 'AAAA' })
  ports.last.close()
  await turn()
  expect(heard).toEqual([])
})

test.each([false, true])('retire tells the daemon whether the gateway failed to prove itself: %s', async (failed) => {
  const { ports, open } = await setUp()
  const carrier = await open(3)
  carrier.retire(failed)
  expect(ports.last.posted.at(-1)).toMatchObject({ type: 'close', branch: 3, failed })
})

test('a lost branch is lost for good, with its reason, and others are not', async () => {
  const { ports, open } = await setUp()
  const [one, two] = [await open(1), await open(2)]
  const reasons: ErrorCode[] = []
  one.onClosed(({ code }) => reasons.push(code))
  ports.last.receive({ event: 'branch-lost', branch: 1, code: 'link-lost', requests: [] })
  ports.last.receive({ event: 'branch-lost', branch: 1, code: 'idle', requests: [] })
  one.onClosed(({ code }) => reasons.push(code))
  expect(reasons).toEqual(['link-lost', 'link-lost'])
  expect([one.error?.code, two.error]).toEqual(['link-lost', undefined])
})

// Branch numbers begin anew with each connection: this closed another group's branch.
test('what was lost with its connection is not closed on the next one', async () => {
  const { clock, ports, open, greet } = await setUp()
  const old = await open(1)
  ports.last.close()
  expect(old.error?.code).toBe('host-exited')
  await clock.elapse(250)
  await greet()
  const fresh = await open(1)
  old.retire()
  expect(ports.last.posted.map((message) => (message as { type: string }).type)).toEqual(['hello', 'open'])
  expect(fresh.error).toBeUndefined()
})

test('an open that the daemon refuses is refused with its reason', async () => {
  const { ports, carriers, last } = await setUp()
  const opening = codeOfAsync(() => carriers.open(way, pattern(4)))
  ports.last.receive({ id: last().id, error: toRpcError(new NightjarError('unknown-relay')) })
  expect(await opening).toBe('unknown-relay')
})
