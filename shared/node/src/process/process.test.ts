import { spawnSync } from 'node:child_process'
import { NightjarError } from '@nightjar/shared/errors'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { announceReady, failWith, onStopSignal, type ProcessHost, systemClock } from './index.ts'

class Exit extends Error {}

function fakeProcess() {
  const listeners = new Map<string, () => void>()
  const seen = { out: '', err: '', exits: [] as number[] }
  const host: ProcessHost = {
    print: (text) => {
      seen.out += text
    },
    printError: (text) => {
      seen.err += text
    },
    exit(code) {
      seen.exits.push(code)
      throw new Exit()
    },
    on: (signal, listener) => void listeners.set(signal, listener),
    off: (signal) => void listeners.delete(signal),
  }
  return { host, seen, listeners, raise: (signal: string) => listeners.get(signal)?.() }
}

describe('systemClock', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test('calls once after the delay, unless cancelled', () => {
    const action = vi.fn()
    systemClock.after(1000, action)
    systemClock.after(1000, action).cancel()
    vi.advanceTimersByTime(999)
    expect(action).not.toHaveBeenCalled()
    vi.advanceTimersByTime(5000)
    expect(action).toHaveBeenCalledTimes(1)
  })

  test('says how long something takes, though the machine’s clock is set meanwhile', () => {
    const [at, began] = [systemClock.now(), systemClock.elapsed()]
    vi.setSystemTime(at - 60_000)
    vi.advanceTimersByTime(1000)
    expect([systemClock.now() - at, systemClock.elapsed() - began]).toEqual([-59_000, 1000])
  })

  test('waits longer than setTimeout can, and can be cancelled on the way', () => {
    const delay = 3 * 2 ** 31
    const action = vi.fn()
    const cancelled = vi.fn()
    systemClock.after(delay, action)
    const timer = systemClock.after(delay, cancelled)
    vi.advanceTimersByTime(delay - 1)
    expect(action).not.toHaveBeenCalled()
    timer.cancel()
    vi.advanceTimersByTime(1)
    expect(action).toHaveBeenCalledTimes(1)
    expect(cancelled).not.toHaveBeenCalled()
  })

  test('tells the time', () => {
    vi.setSystemTime(1_700_000_000_000)
    expect(systemClock.now()).toBe(1_700_000_000_000)
  })
})

test('announceReady prints one line', () => {
  const { host, seen } = fakeProcess()
  announceReady({ port: 9545 }, host)
  expect(seen.out).toBe('{"ready":true,"port":9545}\n')
})

describe('onStopSignal', () => {
  test('the first signal calls the handler, the second exits with 1', () => {
    const { host, seen, raise } = fakeProcess()
    const handler = vi.fn()
    onStopSignal(handler, host)
    raise('SIGTERM')
    expect(handler.mock.calls).toEqual([['SIGTERM']])
    expect(seen.exits).toEqual([])
    expect(() => raise('SIGINT')).toThrow(Exit)
    expect(handler).toHaveBeenCalledTimes(1)
    expect(seen.exits).toEqual([1])
  })

  test('where the handler can be hurried the second signal does that, and the third exits with 1', () => {
    const { host, seen, raise } = fakeProcess()
    const hurry = new AbortController()
    onStopSignal(() => undefined, host, hurry)
    raise('SIGTERM')
    expect(hurry.signal.aborted).toBe(false)
    raise('SIGTERM')
    expect([hurry.signal.aborted, seen.exits]).toEqual([true, []])
    expect(() => raise('SIGTERM')).toThrow(Exit)
    expect(seen.exits).toEqual([1])
  })

  test('a handler that fails ends the process with the error', async () => {
    const { host, seen, raise } = fakeProcess()
    const ended = new Promise<number>((resolve) => {
      host.exit = ((code: number) => resolve(code)) as ProcessHost['exit']
    })
    onStopSignal(() => Promise.reject(new NightjarError('link-lost')), host)
    raise('SIGINT')
    expect(await ended).toBe(1)
    expect(seen.err).toContain('[link-lost]')
  })

  test('can be undone', () => {
    const { host, listeners } = fakeProcess()
    const undo = onStopSignal(() => undefined, host)
    expect([...listeners.keys()]).toEqual(['SIGINT', 'SIGTERM'])
    undo()
    expect(listeners.size).toBe(0)
  })
})

describe('failWith', () => {
  function printed(error: unknown, level?: 'debug' | 'info'): string {
    const { host, seen } = fakeProcess()
    expect(() => failWith(error, { host, ...(level === undefined ? {} : { level }) })).toThrow(Exit)
    expect(seen.exits).toEqual([1])
    return seen.err
  }

  test('prints sentence, detail and code, and no stack', () => {
    expect(printed(new NightjarError('config-invalid', { detail: 'relay.yaml:4: x is missing' }), 'info')).toBe(
      'error: The configuration is wrong. Correct the line that is named. (relay.yaml:4: x is missing) [config-invalid]\n',
    )
  })

  test('the stack comes at level debug', () => {
    expect(printed(new NightjarError('internal'), 'debug')).toMatch(/\[internal\]\nat .*process\.test\.ts/)
  })

  test('a foreign error shows its code only', () => {
    const error = Object.assign(new Error('listen EADDRINUSE 192.0.2.1:443'), { code: 'EADDRINUSE' })
    expect(printed(error)).toMatch(/^error: .* \(EADDRINUSE\) \[internal\]\n$/)
    expect(printed(error, 'debug')).not.toContain('192.0.2.1')
    expect(printed('192.0.2.1')).not.toContain('192.0.2.1')
  })

  test('nothing in a detail reaches the terminal as a command', () => {
    expect(printed(new NightjarError('internal', { detail: '\u001b[31m\u202e' }))).toContain('(?[31m?)')
  })

  test('in a real process it exits with 1 and leaves stdout alone', () => {
    const script = `import { failWith } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)}; failWith('x')`
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script])
    expect([status, String(stdout)]).toEqual([1, ''])
    expect(String(stderr)).toMatch(/^error: .*\[internal\]\n$/)
  })
})
