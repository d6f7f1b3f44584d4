import { inspect } from 'node:util'
import { NightjarError } from '@nightjar/shared/errors'
import { describe, expect, test } from 'vitest'
import { createLog, describeError, type LogLevel, Sensitive } from './index.ts'

function record(level: LogLevel = 'debug') {
  const lines: string[] = []
  const log = createLog({ name: 'test', level, destination: { write: (line) => void lines.push(line) } })
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? 'null') as Record<string, unknown> }
}

/** As Node throws it: an address in the message, in the stack and in properties. */
function connectionRefused(): Error {
  return Object.assign(new Error('connect ECONNREFUSED 192.0.2.1:443'), {
    code: 'ECONNREFUSED',
    errno: -111,
    syscall: 'connect',
    address: '192.0.2.1',
    port: 443,
  })
}

describe('Sensitive', () => {
  const secret = new Sensitive('hunter2')

  test.each([
    ['a template string', () => `${secret}`],
    ['String', () => String(secret)],
    ['concatenation', () => ['x', secret].reduce<string>((text, part) => text + (part as string), '')],
    ['JSON', () => JSON.stringify({ secret })],
    ['inspect', () => inspect({ secret }, { depth: 5, showHidden: true })],
    ['join', () => [secret].join()],
  ])('prints [scrubbed] in %s', (_, print) => {
    expect(print()).toContain('[scrubbed]')
    expect(print()).not.toContain('hunter2')
  })

  test('does not give its value away as a property', () => {
    expect(inspect(secret, { customInspect: false, showHidden: true })).not.toContain('hunter2')
    expect(JSON.stringify({ ...secret })).toBe('{}')
    expect(structuredClone(Object.entries(secret))).toEqual([])
    expect(Number(secret)).toBeNaN()
  })

  test('reveals it when asked', () => {
    expect(secret.reveal()).toBe('hunter2')
  })
})

describe('createLog', () => {
  test('writes one JSON line with time, level, name and facts', () => {
    const { log, lines, last } = record()
    log.info('ready', { port: 9545, names: ['a'] })
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/^\{.*\}\n$/)
    expect(last()).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      name: 'test',
      pid: process.pid,
      msg: 'ready',
      port: 9545,
      names: ['a'],
    })
  })

  test('keeps to its level', () => {
    const { log, lines } = record('warn')
    log.debug('a')
    log.info('b')
    log.warn('c')
    log.error('d')
    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(['c', 'd'])
    const silent = record('silent')
    silent.log.error('x')
    expect(silent.lines).toEqual([])
  })

  test('never writes bytes, secrets, functions or foreign objects', () => {
    const { log, last } = record()
    const loop: Record<string, unknown> = {}
    loop.self = loop
    log.info('x', {
      key: Uint8Array.of(104, 105),
      node: Buffer.from('hunter2'),
      secret: new Sensitive('hunter2'),
      nested: { deep: [new Sensitive('hunter2')] },
      url: new URL('https://hunter2.example'),
      map: new Map([['hunter2', 1]]),
      action: () => 'hunter2',
      big: 10n,
      loop,
    })
    expect(JSON.stringify(last())).not.toContain('hunter2')
    expect(last()).toMatchObject({
      key: '[2 bytes]',
      node: '[7 bytes]',
      secret: '[scrubbed]',
      nested: { deep: ['[scrubbed]'] },
      url: '[URL]',
      map: '[Map]',
      action: '[function]',
      big: '10',
      loop: { self: { self: { self: { self: '[…]' } } } },
    })
  })

  test('facts cannot write over the parts of the line itself', () => {
    const { log, lines } = record()
    log.info('real', { msg: 'fake', level: 'error', time: 0, name: 'other' })
    expect(lines[0]?.match(/"msg":/g)).toHaveLength(1)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ msg: 'real', level: 'info', name: 'test', msg_: 'fake' })
  })

  test('a foreign error leaves its code only, wherever it stands', () => {
    const { log, lines } = record()
    log.error('a', { error: connectionRefused() })
    log.error('b', { other: connectionRefused(), list: [{ inner: connectionRefused() }] })
    log.error('c', { error: new NightjarError('connect-failed', { cause: connectionRefused() }) })
    log.error('d', { error: new AggregateError([connectionRefused()], 'all failed for 192.0.2.1') })
    expect(lines.join()).not.toMatch(/192\.0\.2|443|refused/)
    expect(lines.join().match(/ECONNREFUSED/g)).toHaveLength(4)
  })
})

describe('describeError', () => {
  test('a NightjarError keeps code, detail and frames; its causes their codes', () => {
    const middle = new NightjarError('link-lost', { detail: 'while waiting', cause: connectionRefused() })
    const error = new NightjarError('no-path', { detail: 'two of three', facts: { to: 'hunter2' }, cause: middle })
    const described = describeError(error)
    expect(described).toMatchObject({
      code: 'no-path',
      detail: 'two of three',
      cause: { code: 'link-lost', detail: 'while waiting', cause: { code: 'ECONNREFUSED' } },
    })
    expect(described.stack).toMatch(/^at .*log\.test\.ts/)
    expect(Object.keys(described.cause ?? {})).not.toContain('stack')
    expect(JSON.stringify(described)).not.toMatch(/192\.0\.2|hunter2/)
  })

  test('a message that looks like stack frames does not pass as one', () => {
    const error = new Error('x\n    at 192.0.2.1:443')
    expect(describeError(error).stack).not.toContain('192.0.2.1')
    error.message = 'changed'
    expect(describeError(error).stack).toBeUndefined()
  })

  test('only codes that look like codes are kept', () => {
    for (const code of ['failed at 192.0.2.1', '192.0.2.1', 7, 'x'.repeat(65), null]) {
      expect(describeError(Object.assign(new Error('x'), { code }))).not.toHaveProperty('code')
    }
  })

  test('loops of causes end, and what is no error says nothing', () => {
    const error = new Error('x')
    error.cause = error
    expect(JSON.stringify(describeError(Object.assign(error, { code: 'E' }))).match(/"code"/g)).toHaveLength(9)
    expect(describeError('192.0.2.1')).toEqual({})
    expect(describeError(undefined)).toEqual({})
  })
})
