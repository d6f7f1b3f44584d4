/** What is said over the connection. */
import { toParts } from '@nightjar/shared/bridge'
import { base64 } from '@nightjar/shared/bytes'
import { type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { toRpcError } from '@nightjar/shared/rpc'
import { minute, second } from '@nightjar/shared/runtime'
import { codeOfAsync } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { idleStatus } from '../testing/fixtures.ts'
import { hello, upLink } from '../testing/link.ts'

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
    [
      'parts that change their number',
      [
        { part: 1, of: 2, bytes: 'AAAA' },
        { part: 2, of: 3, bytes: 'AAAA' },
      ],
    ],
    [
      'parts that are no JSON together',
      [
        { part: 1, of: 2, bytes: 'AAAA' },
        { part: 2, of: 2, bytes: 'AAAA' },
      ],
    ],
    ['an empty part', [{ part: 1, of: 2, bytes: '' }]],
  ])('%s', async (_, messages) => {
    const { link, ports, downs, events } = await upLink()
    const asked = link.ask('document', {})
    const code = codeOfAsync(() => asked)
    for (const message of messages) ports.last.receive(message)
    expect([downs, ports.last.isDisconnected, events]).toEqual([['host-garbled'], true, []])
    expect(await code).toBe('host-garbled')
  })

  test('a result of the wrong form, and whoever asked for it is told', async () => {
    const { link, ports, downs, answer } = await upLink()
    const asked = codeOfAsync(() => link.ask('document', {}))
    answer({ text: 1 })
    expect(await asked).toBe('host-garbled')
    expect([downs, ports.last.isDisconnected]).toEqual([['host-garbled'], true])
  })

  test('and what that program says afterwards is not heard', async () => {
    const { ports, downs, events } = await upLink()
    // What was on its way comes all the same.
    ports.last.disconnect = () => undefined
    ports.last.receive(null)
    ports.last.receive({ event: 'document' })
    ports.last.receive(null)
    ports.last.close()
    expect([downs, events]).toEqual([['host-garbled'], []])
  })
})

describe('requests', () => {
  test('are answered in whatever order, each with its own', async () => {
    const { link, answer } = await upLink()
    const asked = [link.ask('document', {}), link.ask('document', {})]
    answer({ text: 'second' }, 3)
    answer({ text: 'first' }, 2)
    expect(await Promise.all(asked)).toEqual([{ text: 'first' }, { text: 'second' }])
  })

  test('answers that nobody asked for, or twice, are nothing', async () => {
    const { link, answer, downs } = await upLink()
    answer({ text: 'unasked' }, 77)
    answer(hello, 1)
    const asked = link.ask('document', {})
    answer({ text: 'once' })
    answer({ text: 'twice' })
    expect(await asked).toEqual({ text: 'once' })
    expect(downs).toEqual([])
  })

  test('large ones go out as parts, and large answers come as parts', async () => {
    const { link, ports } = await upLink()
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
    const { link, ports } = await upLink()
    const asked = link.ask('status', {}).catch((each) => each)
    ports.last.receive({ id: 2, error })
    expect(await asked).toMatchObject({ code, facts })
  })

  test('that get no answer end after 45 seconds; a late answer is nothing', async () => {
    const { clock, link, answer, downs } = await upLink()
    const asked = codeOfAsync(() => link.ask('status', {}))
    await clock.elapse(45 * second)
    expect(await asked).toBe('timed-out')
    answer(idleStatus)
    expect([downs, clock.pending]).toEqual([[], 0])
  })

  test('those that follow something have no such limit', async () => {
    const { clock, link, answer } = await upLink()
    const { answer: end } = link.send('follow', anyFollow)
    await clock.elapse(10 * minute)
    answer(null)
    expect(await end).toBeNull()
  })

  test('of a lost branch are rejected, those that the event names and no others', async () => {
    const { link, ports, answer, events } = await upLink()
    const [one, two, three] = [1, 2, 3].map((branch) => link.ask('exchange', { branch, record: '' }))
    const codes = Promise.all([one, three].map((each) => codeOfAsync(() => each)))
    ports.last.receive({ event: 'branch-lost', branch: 1, code: 'link-lost', requests: [2, 4, 99] })
    expect(await codes).toEqual(['link-lost', 'link-lost'])
    answer({ record: 'AAAA' }, 3)
    expect((await two)?.record).toHaveLength(3)
    expect(events).toMatchObject([{ event: 'branch-lost', branch: 1 }])
  })

  test('of a branch that is lost for an unknown reason are rejected too', async () => {
    const { link, ports } = await upLink()
    const asked = codeOfAsync(() => link.ask('exchange', { branch: 1, record: '' }))
    ports.last.receive({ event: 'branch-lost', branch: 1, code: 'unheard-of', requests: [2] })
    expect(await asked).toBe('internal')
  })
})
