/** What popup and options are told of the shield. The whole background, on a stage. */
import { minute, second } from '@nightjar/shared/runtime'
import { turn } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { listed, on } from '../testing/shieldStage.ts'

test('the daemon’s counts are shown, with what went wrong', async () => {
  const stage = await on()
  const counts = { shielded: 3, blocked: 1 }
  stage.daemon.setStatus({
    shield: {
      ...stage.daemon.status.shield,
      today: { rpc: counts },
      hosts: [{ suffix: listed, category: 'rpc', ...counts, lastError: 'host-unreachable' }],
      lastError: 'no-such-code',
    },
  })
  await turn()
  expect(stage.snapshot.shield).toMatchObject({
    today: { rpc: counts },
    hosts: { [listed]: { ...counts, lastError: expect.stringContaining('exit') } },
    lastError: { code: 'internal' },
  })
})

describe('the leak report', () => {
  const question = '{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}'

  test('is made while it is on, once the user allowed it, and until they take that back', async () => {
    const stage = await on()
    expect([stage.requests.watchers, stage.snapshot.shield.watching]).toEqual([0, false])
    stage.requests.allow(true)
    stage.requests.post('https://rpc.example/', question, 'https://dapp.example')
    await stage.clock.elapse(second)
    expect(stage.snapshot.shield).toMatchObject({
      watching: true,
      leaks: [{ host: 'rpc.example', site: 'dapp.example', count: 1 }],
    })
    await stage.command({ command: 'disconnect' })
    expect(stage.requests.watchers).toBe(0)
    await stage.command({ command: 'connect' })
    expect(stage.requests.watchers).toBe(1)
    stage.requests.allow(false)
    expect(stage.requests.watchers).toBe(0)
  })

  test('is kept as long as the browser, and never on disk', async () => {
    const stage = await on()
    stage.requests.allow(true)
    stage.requests.post('https://rpc.example/', question, 'https://dapp.example')
    await stage.clock.elapse(minute)
    await stage.restart()
    expect(stage.snapshot.shield.leaks).toHaveLength(1)
    expect(JSON.stringify(stage.stored)).not.toMatch(/rpc\.example|dapp\.example/)
    await stage.command({ command: 'forget-leaks' })
    expect(stage.snapshot.shield.leaks).toEqual([])
    await stage.restart()
    expect(stage.snapshot.shield.leaks).toEqual([])
  })

  test('leaves out what was blocked with its one click', async () => {
    const stage = await on()
    stage.requests.allow(true)
    await stage.command({ command: 'choose', hosts: ['rpc.example'], choice: 'block' })
    stage.requests.post('https://rpc.example/', question, 'https://dapp.example')
    await stage.clock.elapse(second)
    expect(stage.snapshot.shield.leaks).toEqual([])
  })
})
