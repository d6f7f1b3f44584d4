/** What is Chromium's own about the shield: a setting that others have, too. The whole background, on a stage. */
import type { SystemProxy } from '@nightjar/shared/bridge'
import { minute } from '@nightjar/shared/runtime'
import { turn } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { begin, listed, on, scriptOf, settle, shieldOf, there, waysOf } from '../testing/shieldStage.ts'
import type { Stage } from '../testing/stage.ts'

const up = [there.port, there.sinkPort]
const tellSystem = ({ daemon }: Stage, systemProxy: SystemProxy | null) =>
  daemon.tell({ event: 'browser', systemProxy })

describe('going private', () => {
  test('puts a mandatory script up', async () => {
    const stage = await on()
    expect(stage.proxy.ours).toMatchObject({ mode: 'pac_script', pacScript: { mandatory: true } })
    expect(scriptOf(stage)).toContain(JSON.stringify([listed, 'shield']))
  })

  test('keeps prediction off, also where the script stays as it is', async () => {
    const stage = await on()
    stage.prediction.ours = undefined
    stage.prediction.other = true
    const { length } = stage.proxy.sets
    tellSystem(stage, null)
    await settle()
    expect([stage.prediction.ours, stage.proxy.sets.length]).toEqual([false, length])
  })

  test('goes on without it where another extension has the proxy, and says so', async () => {
    const stage = await begin({ change: ({ proxy }) => proxy.hold('controlled_by_other_extensions') })
    await stage.command({ command: 'connect' })
    await settle()
    expect([stage.snapshot.state, stage.at, stage.stateOf('shield')]).toEqual(['connecting', 'shield failed', 'failed'])
    expect([stage.stateOf('watch'), stage.wallet.chains, stage.proxy.sets]).toEqual(['running', [1], []])
    const last = stage.clock.now()
    stage.daemon.setStatus({
      callers: [{ origin: 'chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn', chain: 1, requests: 1, last }],
    })
    await turn()
    expect([stage.snapshot.state, stage.problem, shieldOf(stage)]).toEqual(['degraded', 'proxy-taken', 'down'])
    // The browser says when it comes free: until then nothing is tried, and the state does not come and go.
    stage.states.length = 0
    await stage.clock.elapse(minute)
    expect(stage.states).toEqual([])
  })

  test.each(['auto_detect', 'pac_script'])('refuses where other hosts would lose their way: %s', async (mode) => {
    const stage = await begin({
      enabled: true,
      change({ proxy }) {
        proxy.other = { mode, pacScript: { url: 'http://wpad/wpad.dat' } }
      },
    })
    expect([stage.snapshot.state, stage.problem, stage.proxy.sets]).toEqual(['degraded', 'proxy-unknown', []])
    expect([stage.prediction.sets, stage.snapshot.shield.restartAdvised]).toEqual([[], false])
  })

  test('refuses where the system has a script, until it has none', async () => {
    const stage = await begin({ change: ({ daemon }) => daemon.on('status', () => 'never') })
    await stage.command({ command: 'connect' })
    tellSystem(stage, { kind: 'script' })
    stage.daemon.off('status')
    stage.daemon.setStatus({})
    await stage.command({ command: 'retry' })
    await settle()
    expect([stage.stateOf('shield'), stage.proxy.sets]).toEqual(['failed', []])
    tellSystem(stage, { kind: 'fixed', https: 'corp:3128', bypass: ['intranet'] })
    await settle()
    expect([stage.stateOf('shield'), scriptOf(stage)]).toEqual(['done', expect.stringContaining('PROXY corp:3128')])
  })

  test('fails as the setting does', async () => {
    const stage = await begin({
      enabled: true,
      change({ proxy }) {
        proxy.failure = new Error('no')
      },
    })
    expect([stage.problem, shieldOf(stage)]).toEqual(['internal', 'down'])
  })
})

describe('once up', () => {
  test('it is set when something changed, and not with each status', async () => {
    const stage = await on()
    const { length } = stage.proxy.sets
    for (let branches = 0; branches < 20; branches++) stage.daemon.setStatus({ branches })
    await settle()
    expect(stage.proxy.sets).toHaveLength(length)
  })

  test('it remembers over restarts where other hosts went before', async () => {
    const stage = await on({
      change({ proxy }) {
        proxy.other = { mode: 'fixed_servers', rules: { singleProxy: { host: 'proxy.example', port: 3128 } } }
      },
    })
    await stage.restartBrowser()
    await settle()
    tellSystem(stage, null)
    await settle()
    expect(scriptOf(stage)).toContain('PROXY proxy.example:3128')
  })

  test('it follows the system’s proxy, and keeps to the last one that can be said', async () => {
    const stage = await on()
    tellSystem(stage, { kind: 'fixed', https: 'one:1', bypass: [] })
    await settle()
    expect(scriptOf(stage)).toContain('PROXY one:1')
    await stage.restart()
    await settle()
    expect(scriptOf(stage)).toContain('PROXY one:1')
    tellSystem(stage, { kind: 'script' })
    await settle()
    expect([stage.problem, shieldOf(stage)]).toEqual(['proxy-unknown', 'up'])
    expect(scriptOf(stage)).toContain('PROXY one:1')
    tellSystem(stage, null)
    await settle()
    expect([stage.problem, scriptOf(stage)?.includes('PROXY')]).toEqual([undefined, false])
  })

  test.each(['controlled_by_other_extensions', 'not_controllable'] as const)(
    'it says at once that it is %s, and when it is ours again',
    async (by) => {
      const stage = await on()
      stage.proxy.hold(by)
      await settle()
      expect([stage.snapshot.state, stage.problem, shieldOf(stage)]).toEqual(['degraded', 'proxy-taken', 'down'])
      stage.proxy.hold(undefined)
      await settle()
      expect([stage.snapshot.state, stage.problem, shieldOf(stage)]).toEqual(['private', undefined, 'up'])
    },
  )

  test('it is put up again where the browser was set back to its defaults', async () => {
    const stage = await on()
    await stage.proxy.clear()
    await settle()
    expect([waysOf(stage), shieldOf(stage)]).toEqual([up, 'up'])
  })
})

test('what was left behind by a stop in the middle of it goes with the next start', async () => {
  const stage = await on()
  const left = stage.proxy.ours
  await stage.command({ command: 'disconnect' })
  await settle()
  stage.proxy.ours = left
  await stage.restartBrowser()
  await settle()
  expect(stage.proxy.ours).toBeUndefined()
})
