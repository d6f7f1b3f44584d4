/** The shield over what can become of it, the same in each browser. The whole background, on a stage. */
import { minute, second } from '@nightjar/shared/runtime'
import { turn } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { begin, discard, listed, on, settle, shieldOf, there, wayOf, waysOf } from '../testing/shieldStage.ts'
import type { Stage } from '../testing/stage.ts'

const up = [there.port, there.sinkPort]
const nowhere = [discard, discard]
const direct = ['direct', 'direct']

describe.each(['chromium', 'firefox'] as const)('in %s', (browser) => {
  describe('going private', () => {
    test('leads listed hosts to the daemon, and ends prediction', async () => {
      const stage = await on({ browser })
      expect([waysOf(stage), stage.prediction.value, shieldOf(stage)]).toEqual([up, false, 'up'])
      expect(wayOf(stage, 'https://example.org/')).toBe('direct')
    })

    test('does so after the gateways answered and before the wallet is asked', async () => {
      const change = ({ daemon }: Stage) => daemon.on('gateways', () => 'never')
      const stage = await begin({ browser, change })
      await stage.command({ command: 'connect' })
      await settle()
      expect([stage.at, waysOf(stage), shieldOf(stage)]).toEqual(['gateways running', direct, 'down'])
    })

    test('fails as the browser does, and is tried again when the user wants it', async () => {
      const change = ({ prediction }: Stage) => {
        prediction.failure = new Error('no')
      }
      const stage = await begin({ browser, enabled: true, change })
      expect([stage.snapshot.state, stage.problem, shieldOf(stage)]).toEqual(['degraded', 'internal', 'down'])
      stage.prediction.failure = undefined
      await stage.command({ command: 'retry' })
      await settle()
      expect([stage.snapshot.state, shieldOf(stage)]).toEqual(['private', 'up'])
    })
  })

  describe('once up', () => {
    test('it follows the daemon’s ports, and leads nowhere while there are none', async () => {
      const stage = await on({ browser })
      const { daemon } = stage
      daemon.setStatus({ shield: { ...daemon.status.shield, port: 5000, sinkPort: 5001 } })
      await settle()
      expect(waysOf(stage)).toEqual([5000, 5001])
      daemon.setStatus({ shield: { ...daemon.status.shield, running: false } })
      await settle()
      expect([waysOf(stage), shieldOf(stage)]).toEqual([nowhere, 'closed'])
    })

    test('it leads nowhere from when the daemon is lost until it is back', async () => {
      const stage = await on({ browser })
      stage.daemon.absent = 'Native host has exited.'
      stage.daemon.exit()
      await settle()
      expect([waysOf(stage), shieldOf(stage)]).toEqual([nowhere, 'closed'])
      await stage.clock.elapse(minute)
      expect([stage.snapshot.state, waysOf(stage)]).toEqual(['blocked', nowhere])
      stage.daemon.absent = undefined
      await stage.clock.elapse(30 * second)
      await settle()
      expect([stage.snapshot.state, waysOf(stage)]).toEqual(['private', up])
    })

    test('it stays as it is while the background is stopped and started', async () => {
      const stage = await on({ browser })
      await stage.restart()
      await settle()
      expect([waysOf(stage), shieldOf(stage)]).toEqual([up, 'up'])
    })

    test('it stays while the background is started and the daemon says nothing', async () => {
      const stage = await on({ browser })
      const { daemon } = stage
      daemon.setStatus({ shield: { ...daemon.status.shield, port: 5000, sinkPort: 5001 } })
      await settle()
      daemon.on('hello', () => 'never')
      await stage.restart()
      await settle()
      expect([waysOf(stage), shieldOf(stage)]).toEqual([[5000, 5001], 'up'])
    })

    test('it is up before the daemon is when the browser starts, and leads nowhere until then', async () => {
      const stage = await on({ browser })
      stage.daemon.absent = 'Specified native messaging host not found.'
      await stage.restartBrowser()
      await settle()
      expect([waysOf(stage), stage.prediction.value]).toEqual([nowhere, false])
      stage.daemon.absent = undefined
      await stage.clock.elapse(minute)
      await settle()
      expect(waysOf(stage)).toEqual(up)
    })

    // Somebody else may listen there by now.
    test('it does not lead to the port of before the browser’s start until the daemon says so', async () => {
      const stage = await on({ browser })
      stage.daemon.on('hello', () => 'never')
      await stage.restartBrowser()
      await settle()
      expect(waysOf(stage)).toEqual(nowhere)
    })

    test('choices hold at once, and are stored', async () => {
      const stage = await on({ browser })
      await stage.command({ command: 'choose', hosts: [listed, 'rpc.example'], choice: 'block' })
      await settle()
      expect([waysOf(stage), wayOf(stage, 'https://a.rpc.example/')]).toEqual([[up[1], up[1]], up[1]])
      const shield = { choices: { [listed]: 'block' }, added: ['rpc.example'] }
      const { directoryIsBuiltIn: _, shield: chosen, ...form } = stage.snapshot.settings
      expect(chosen).toEqual(shield)
      await stage.command({ command: 'save', settings: { ...form, sites: ['https://a.example/*'] } })
      expect(stage.stored).toMatchObject({ settings: { sites: ['https://a.example/*'], shield } })
      await stage.command({ command: 'choose', hosts: [listed, 'rpc.example'], choice: 'leave' })
      await settle()
      expect([waysOf(stage), wayOf(stage, 'https://a.rpc.example/')]).toEqual([direct, 'direct'])
    })
  })

  describe('turning off', () => {
    test('takes it down, and lets the browser predict again', async () => {
      const stage = await on({ browser })
      await stage.command({ command: 'disconnect' })
      await settle()
      expect([waysOf(stage), stage.prediction.value, shieldOf(stage)]).toEqual([direct, true, 'down'])
      expect([stage.store.state.shield, stage.snapshot.shield.restartAdvised]).toEqual([undefined, false])
      stage.daemon.setStatus({ branches: 1 })
      stage.daemon.tell({ event: 'browser', systemProxy: null })
      await settle()
      await stage.restart()
      await settle()
      expect(waysOf(stage)).toEqual(direct)
    })

    test('in the middle of putting it up leaves nothing', async () => {
      const stage = await begin({ browser })
      stage.ui.receive({ command: 'connect' })
      await turn()
      stage.ui.receive({ command: 'cancel' })
      await settle()
      expect([waysOf(stage), stage.prediction.ours]).toEqual([direct, undefined])
    })
  })

  describe('the advice to restart the browser', () => {
    test('is given when it went up in this session, until it is dismissed', async () => {
      const stage = await on({ browser })
      expect(stage.snapshot.shield.restartAdvised).toBe(true)
      await stage.restart()
      expect(stage.snapshot.shield.restartAdvised).toBe(true)
      await stage.command({ command: 'dismiss-restart' })
      expect(stage.snapshot.shield.restartAdvised).toBe(false)
      await stage.command({ command: 'disconnect' })
      await stage.command({ command: 'connect' })
      await settle()
      expect([shieldOf(stage), stage.snapshot.shield.restartAdvised]).toEqual(['up', false])
    })

    test('is followed by a restart: it was up from the beginning', async () => {
      const stage = await on({ browser })
      await stage.restartBrowser()
      await settle()
      expect([shieldOf(stage), stage.snapshot.shield.restartAdvised]).toEqual(['up', false])
    })
  })
})
