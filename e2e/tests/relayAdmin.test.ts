/** What operators see of relays that carry traffic: health, status, and metrics that a real Prometheus scrapes. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type LocalRelay, until } from '../src/network/index.ts'
import { fundedAccount } from './support/chain.ts'
import { useNetwork } from './support/network.ts'
import { pathOf } from './support/paths.ts'
import { findPrometheus, lintMetrics, type Prometheus, startPrometheus } from './support/prometheus.ts'
import { ask } from './support/rpc.ts'

const chain = 31337
const { address } = fundedAccount(0)
const shared = useNetwork({ tapped: true })
const programs = findPrometheus()
if (programs === undefined) console.warn('No Prometheus: its tests are skipped. On Debian, scripts/run.mjs brings it.')

/** Entry, middle and gateway of the path in use. */
let relays: readonly LocalRelay[]
let sent = 0

/** Reads that no gateway answers by itself. */
async function makeTraffic(requests: number): Promise<void> {
  const url = shared.network.daemon.url(chain)
  const slots = Array.from({ length: requests }, () => `0x${(sent++).toString(16)}`)
  for (const answer of await Promise.all(
    slots.map((slot) => ask(url, 'eth_getStorageAt', [address, slot, 'latest'])),
  )) {
    expect(answer).toHaveProperty('result')
  }
}

beforeAll(async () => {
  const path = await pathOf(shared.network, () => makeTraffic(1))
  relays = [path.entry, path.middle, path.gateway]
})

const metricsPort = (relay: LocalRelay) => Number(relay.process.ready.metricsPort)

async function get(port: number, path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`)
  return { status: response.status, text: await response.text() }
}

/** The sum of a metric's samples whose labels contain `labels`. */
async function sumOf(relay: LocalRelay, name: string, labels = ''): Promise<number> {
  const { text } = await get(metricsPort(relay), '/metrics')
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) && line.includes(labels))
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

describe('each relay of a path', () => {
  test('is healthy and says how much it carries', async () => {
    for (const relay of relays) {
      const health = await get(relay.healthPort, '/health')
      expect(health.status).toBe(200)
      expect(JSON.parse(health.text)).toMatchObject({ status: 'ok' })
      const status = async () => JSON.parse((await get(relay.healthPort, '/status')).text) as { connections: number }
      await until('it says so', async () => (await status()).connections > 0)
      expect(await status()).toEqual({
        ...{ status: 'ok', region: relay.region, server_name: relay.name, version: expect.any(String) },
        identity: expect.stringMatching(/^[0-9a-f]{64}$/),
        ...{ uptime: expect.any(Number), connections: 8, max_connections: 1000, utilization_pct: 1 },
        ...{ circuits: expect.any(Number), branches: expect.any(Number) },
      })
    }
  })

  test('counts the cells that it carries, and how long they take, in both directions', async () => {
    await makeTraffic(100)
    for (const relay of relays) {
      for (const direction of ['forward', 'backward']) {
        const label = `direction="${direction}"`
        await until('cells are counted', async () => (await sumOf(relay, 'nightjar_cells_total', label)) > 0)
        expect((await sumOf(relay, 'nightjar_cells_total', label)) % 1024).toBe(0)
      }
      expect((await sumOf(relay, 'nightjar_handshakes_total', 'code="done"')) % 8).toBe(0)
      // Links carry that and more.
      for (const direction of ['received', 'sent']) {
        const megabytes = (await sumOf(relay, 'nightjar_link_bytes_total', `direction="${direction}"`)) / 1024 ** 2
        expect(megabytes).toBeGreaterThanOrEqual(1)
        expect(Number.isInteger(megabytes)).toBe(true)
      }
    }
    const [entry] = relays as [LocalRelay]
    await until('cells are timed', async () => (await sumOf(entry, 'nightjar_forwarding_seconds_count')) > 0)
    await until('branches are seen', async () => (await sumOf(entry, 'nightjar_branches')) > 0)
  })

  test('tells nothing of who asked whom for what', async () => {
    const { daemon, relays: all, nodes } = shared.network
    const token = new URL(daemon.url(chain)).pathname.split('/')[1] as string
    const ports = [...all.all.map(({ port }) => port), Number(new URL(nodes[chain] as string).port)]
    for (const relay of relays) {
      const { text } = await get(metricsPort(relay), '/metrics')
      const status = await get(relay.healthPort, '/status')
      const health = await get(relay.healthPort, '/health')
      const told = [text, status.text, health.text].join('\n').toLowerCase()
      const needles = ['127.', 'localhost', '://', '0x', 'eth_', 'getstorage', 'jsonrpc', token, address.slice(2, 12)]
      const names = all.all.filter((each) => each !== relay).map(({ name }) => name)
      const found = [...needles, ...names, ...ports.map((port) => `:${port}`)].filter((each) =>
        told.includes(each.toLowerCase()),
      )
      expect(found).toEqual([])
    }
  })

  test('has all its samples under its region', async () => {
    for (const relay of relays) {
      const { text } = await get(metricsPort(relay), '/metrics')
      const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
      expect(samples.length).toBeGreaterThanOrEqual(20)
      expect(samples.filter((line) => !line.includes(`region="${relay.region}"`))).toEqual([])
    }
  })
})

describe.skipIf(programs === undefined)('Prometheus', () => {
  let prometheus: Prometheus
  beforeAll(async () => {
    prometheus = await startPrometheus(programs as string, relays.map(metricsPort))
  })
  afterAll(() => prometheus?.stop())

  const regions = async (expression: string) =>
    (await prometheus.query(expression)).map(({ labels }) => labels.region).sort()

  test('finds nothing to mend in what relays tell', async () => {
    for (const relay of relays) {
      const { text } = await get(metricsPort(relay), '/metrics')
      expect(await lintMetrics(programs as string, text)).toBe('')
    }
    // It does look.
    expect(await lintMetrics(programs as string, '# TYPE a_total gauge\na_total 1\n')).not.toBe('')
  })

  test('scrapes three relays, each under its region', async () => {
    const all = relays.map(({ region }) => region).sort()
    await until('all are up', async () => (await prometheus.query('up == 1')).length === 3)
    await until('all have told', async () => (await prometheus.query('nightjar_info')).length === 3)
    expect(await regions('nightjar_info')).toEqual(all)
    expect(await regions('nightjar_connections > 0')).toEqual(all)
    expect(await regions('nightjar_utilization_ratio > 0 and nightjar_utilization_ratio <= 1')).toEqual(all)
    expect(await regions('nightjar_resident_memory_bytes > 10e6')).toEqual(all)
    expect(await prometheus.query('sum(nightjar_workers)')).toMatchObject([{ value: 3 }])
  })

  test('can tell throughput and the latency of cells', async () => {
    const p99 = 'histogram_quantile(0.99, sum by (le) (rate(nightjar_forwarding_seconds_bucket[1m])))'
    await until('cells are carried', async () => {
      await makeTraffic(50)
      const [rate] = await prometheus.query('min(sum by (region) (rate(nightjar_cells_total[1m])))')
      const [latency] = await prometheus.query(p99)
      return (rate?.value ?? 0) > 0 && Number.isFinite(latency?.value)
    })
    const [latency] = await prometheus.query(p99)
    expect(latency?.value).toBeGreaterThan(0)
    expect(latency?.value).toBeLessThan(5)
  })

  test('sees that one is gone', async () => {
    const [, middle] = relays as [LocalRelay, LocalRelay]
    middle.process.signal('SIGKILL')
    await middle.process.ended
    await until('it is seen', async () => (await prometheus.query('up == 0')).length === 1)
    const [gone] = await prometheus.query('up == 0')
    expect(gone?.labels.instance).toBe(`127.0.0.1:${metricsPort(middle)}`)
    await makeTraffic(1)
  })
})
