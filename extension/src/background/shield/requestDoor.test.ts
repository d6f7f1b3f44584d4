/** What is Firefox's own about the shield: it asks for each request. The whole background, on a stage. */
import { describe, expect, test } from 'vitest'
import { begin, listed, on, settle, shieldOf, there, wayOf, waysOf } from '../testing/shieldStage.ts'

const browser = 'firefox'

test('what it answers ends with nothing, so a proxy that fails is followed by none', async () => {
  const stage = await on({ browser })
  expect(stage.proxyRequests.ask(`https://${listed}/`)).toEqual([
    { type: 'socks', host: '127.0.0.1', port: there.port, proxyDNS: true },
    null,
  ])
  // Null would be for going directly, past a proxy that is set in the browser.
  expect(stage.proxyRequests.ask('https://example.org/')).toBeUndefined()
})

test.each([
  [`https://${listed}/`, there.port],
  [`wss://a.${listed}/socket`, there.port],
  [`https://user:pass@a.${listed.toUpperCase()}:443/`, there.port],
  [`https://a.${listed}./`, there.port],
  [`https://${listed}:8443/`, there.sinkPort],
  [`ws://${listed}/`, there.sinkPort],
  [`https://not${listed}/`, 'direct'],
  [`https://${listed}.example/`, 'direct'],
  ['http://[::1]:8645/', 'direct'],
])('%s goes to %s', async (url, way) => {
  expect(wayOf(await on({ browser }), url)).toBe(way)
})

test('requests wait until it is known whether it is up', async () => {
  const stage = await on({ browser })
  stage.proxyRequests.forgetListeners()
  expect(waysOf(stage)).toEqual(['waits', 'waits'])
  await stage.restart()
  expect(waysOf(stage)).toEqual([there.port, there.sinkPort])
})

test('hosts that are blocked beside the list are asked about, from each start on', async () => {
  const stage = await on({ browser })
  await stage.command({ command: 'choose', hosts: ['rpc.example'], choice: 'block' })
  expect(stage.proxyRequests.covered).toEqual(['rpc.example'])
  stage.proxyRequests.covered = []
  await stage.restart()
  expect(stage.proxyRequests.covered).toEqual(['rpc.example'])
})

test('other proxies are Firefox’s matter, whatever the system has', async () => {
  const stage = await on({ browser })
  stage.daemon.tell({ event: 'browser', systemProxy: { kind: 'script' } })
  await settle()
  expect([stage.snapshot.state, shieldOf(stage), stage.proxy.sets]).toEqual(['private', 'up', []])
})

describe('where the user does not let it see requests', () => {
  test('it is not up, and says so', async () => {
    const stage = await begin({
      browser,
      enabled: true,
      change({ proxyRequests }) {
        proxyRequests.isAllowed = false
      },
    })
    expect([stage.snapshot.state, shieldOf(stage)]).toEqual(['degraded', 'down'])
    expect(stage.problem).toBe('requests-hidden')
  })

  test('it says so at once, and when they let it again', async () => {
    const stage = await on({ browser })
    stage.proxyRequests.allow(false)
    await settle()
    expect([stage.snapshot.state, shieldOf(stage)]).toEqual(['degraded', 'down'])
    stage.proxyRequests.allow(true)
    await settle()
    expect([stage.snapshot.state, shieldOf(stage)]).toEqual(['private', 'up'])
  })
})
