import { request } from 'node:http'
import { connect } from 'node:net'
import { FakeClock, turn } from '@nightjar/shared/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { countCode, RelayMeter } from '../relay/meter.ts'
import { type Admin, type AdminOptions, openAdmin, snapshotEvery } from './admin.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import type { Check } from './status.ts'

let clock: FakeClock
let meter: RelayMeter
let connections: number
let maxConnections: number
let metrics: Metrics
let isDraining: boolean
let checks: Check[]
let read: AdminOptions['read']
let problems: unknown[]
let options: AdminOptions
let admin: Admin

const document: Check = { name: 'network document', ok: true, sentence: 'It is valid.' }
const upstreams: Check = { name: 'upstreams of chain 1', ok: false, sentence: 'No upstream works.' }

beforeEach(async () => {
  clock = new FakeClock()
  meter = new RelayMeter()
  connections = 0
  maxConnections = 100
  isDraining = false
  checks = [document]
  problems = []
  metrics = createMetrics({ region: 'eu-west', version: '1.2.3' })
  metrics.watchRelay({
    counts: meter,
    connections: () => connections,
    maxConnections: () => maxConnections,
    onwardLinks: () => 0,
    heldBack: { cells: 0, bandwidth: 0 },
    traffic: { received: 0, sent: 0 },
    keysValidFor: () => 700_000_500,
  })
  read = () => metrics.serialise()
  options = {
    ...{ host: '127.0.0.1', healthPort: 0, metricsPort: 0, clock },
    ...{ serverName: 'relay-eu-1', identity: 'c0ffee', region: 'eu-west', version: '1.2.3' },
    isDraining: () => isDraining,
    checks: () => checks,
    read: () => read(),
    onProblem: (error) => problems.push(error),
  }
  admin = await openAdmin(options)
})

afterEach(async () => {
  await admin.close()
  metrics.close()
})

const health = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${admin.healthPort}${path}`, { method })
const scrape = () => fetch(`http://127.0.0.1:${admin.metricsPort}/metrics`)
const jsonOf = async (path: string): Promise<unknown> => (await health(path)).json()

/** The value of a line of `/metrics`. */
async function shown(name: string): Promise<number | undefined> {
  const line = (await (await scrape()).text()).split('\n').find((each) => each.startsWith(`${name}{`))
  return line === undefined ? undefined : Number(line.split(' ').at(-1))
}

/** Time passes, and what it sets off is done: reading takes several turns. */
async function pass(duration: number): Promise<void> {
  clock.advance(duration)
  for (let turns = 0; turns < 5; turns++) await turn()
}

describe('/health', () => {
  test('is 200 while everything holds', async () => {
    const response = await health('/health')
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(await response.json()).toEqual({ status: 'ok', checks: [document] })
  })

  test('is 503 with the reason as soon as something does not', async () => {
    checks = [document, upstreams]
    const response = await health('/health')
    expect(response.status).toBe(503)
    expect(await response.json()).toEqual({ status: 'failing', reason: 'No upstream works.', checks })
  })

  test('is 503 while the relay drains, whatever else holds or not', async () => {
    isDraining = true
    for (checks of [[document], [upstreams]]) {
      const response = await health('/health')
      expect(response.status).toBe(503)
      expect(await response.json()).toMatchObject({ status: 'draining', checks })
    }
  })
})

describe('/status', () => {
  test('says what the relay is and how much it carries', async () => {
    connections = 20
    meter.circuits = 30
    meter.branches = 41
    await pass(snapshotEvery)
    await pass(2500)
    const load = { connections: 24, max_connections: 100, utilization_pct: 24, circuits: 32, branches: 48 }
    expect(await jsonOf('/status')).toEqual({
      ...load,
      status: 'ok',
      uptime: 17,
      region: 'eu-west',
      server_name: 'relay-eu-1',
      identity: 'c0ffee',
      version: '1.2.3',
    })
  })

  test('is 200 with the reason for which /health is not', async () => {
    isDraining = true
    expect((await health('/status')).status).toBe(200)
    expect(await jsonOf('/status')).toMatchObject({ status: 'draining' })
  })

  test('never tells more of a small relay than the rounded number, nor more than all of it', async () => {
    maxConnections = 10
    connections = 9
    await pass(snapshotEvery)
    expect(await jsonOf('/status')).toMatchObject({ connections: 16, utilization_pct: 100 })
    connections = 3
    await pass(snapshotEvery)
    expect(await jsonOf('/status')).toMatchObject({ connections: 8, utilization_pct: 80 })
  })
})

describe('a snapshot', () => {
  test('stands for 15 seconds, however often it is asked for', async () => {
    connections = 9
    countCode(meter.handshakes, 'done')
    await pass(snapshotEvery - 1)
    expect(await shown('nightjar_connections')).toBe(0)
    expect(await jsonOf('/status')).toMatchObject({ connections: 0 })
    expect(await shown('nightjar_handshakes_total')).toBeUndefined()
    await pass(1)
    expect(await shown('nightjar_connections')).toBe(16)
    expect(await jsonOf('/status')).toMatchObject({ connections: 16 })
    expect(await shown('nightjar_handshakes_total')).toBe(8)
    connections = 0
    await pass(snapshotEvery)
    expect(await shown('nightjar_connections')).toBe(0)
  })

  test('that one client more or less changes nothing', async () => {
    connections = 33
    await pass(snapshotEvery)
    const before = await (await scrape()).text()
    connections = 34
    await pass(snapshotEvery)
    const gauges = (text: string) => text.split('\n').filter((line) => /^nightjar_(conn|util|circ|branch)/.test(line))
    expect(gauges(await (await scrape()).text())).toEqual(gauges(before))
  })

  test('that cannot be taken leaves no numbers, and the next one may do better', async () => {
    read = () => Promise.reject(new Error('a worker has gone'))
    await pass(snapshotEvery)
    expect(problems).toHaveLength(1)
    expect((await scrape()).status).toBe(503)
    expect(await jsonOf('/status')).toEqual({
      ...{
        status: 'ok',
        uptime: 15,
        region: 'eu-west',
        server_name: 'relay-eu-1',
        identity: 'c0ffee',
        version: '1.2.3',
      },
    })
    read = () => metrics.serialise()
    await pass(snapshotEvery)
    expect((await scrape()).status).toBe(200)
  })

  test('that never comes is given up', async () => {
    read = () => new Promise(() => {})
    await pass(snapshotEvery)
    expect(await shown('nightjar_connections')).toBe(0)
    await pass(10_000)
    expect((await scrape()).status).toBe(503)
    expect(problems).toMatchObject([{ code: 'timed-out' }])
  })

  test('is text for Prometheus', async () => {
    const response = await scrape()
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(await response.text()).toContain(
      '# TYPE nightjar_connections gauge\nnightjar_connections{region="eu-west"} 0\n',
    )
  })
})

describe('the ports', () => {
  test.each(['/', '/health/', '/health?verbose', '/healthz', '/metrics', '/__proto__', '//health', '/%68ealth'])(
    'know no %s beside health',
    async (path) => {
      expect((await health(path)).status).toBe(404)
    },
  )

  test('of health and metrics are apart', async () => {
    expect((await fetch(`http://127.0.0.1:${admin.metricsPort}/health`)).status).toBe(404)
    expect((await fetch(`http://127.0.0.1:${admin.metricsPort}/status`)).status).toBe(404)
  })

  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])('take no %s', async (method) => {
    for (const path of ['/health', '/status']) {
      const response = await health(path, method)
      expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    }
  })

  test('answer HEAD with what GET would give, but for the body', async () => {
    const got = await health('/health')
    const response = await health('/health', 'HEAD')
    expect(response.status).toBe(200)
    expect(response.headers.get('content-length')).toBe(String((await got.text()).length))
    expect(await response.text()).toBe('')
  })

  test('let no page of another origin read them', async () => {
    const response = await fetch(`http://127.0.0.1:${admin.healthPort}/status`, {
      headers: { origin: 'https://a.example' },
    })
    expect([...response.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
  })

  test.each([
    'hello\r\n\r\n',
    'GET /health HTTP/9.9\r\n\r\n',
    '\0\x01\xff',
    'GET /health\r\n',
    `GET /${'a'.repeat(1e5)}`,
  ])('end what is no HTTP, and serve on', async (garbage) => {
    const socket = connect(admin.healthPort, '127.0.0.1')
    // Being cut off is what is expected.
    socket.on('error', () => socket.destroy())
    socket.resume().end(garbage, 'latin1')
    await new Promise<void>((resolve) => socket.once('close', () => resolve()))
    expect((await health('/health')).status).toBe(200)
  })

  test('that are taken are an error that names which, and nothing stays open', async () => {
    const clockOfSecond = new FakeClock()
    const second = { ...options, clock: clockOfSecond }
    const { healthPort, metricsPort } = admin
    await expect(openAdmin({ ...second, healthPort })).rejects.toMatchObject({
      ...{ code: 'config-invalid', detail: expect.stringContaining(`admin.health_port ${healthPort}: taken`) },
    })
    await expect(openAdmin({ ...second, metricsPort })).rejects.toMatchObject({
      ...{ code: 'config-invalid', detail: expect.stringContaining(`admin.metrics_port ${metricsPort}: taken`) },
    })
    expect(clockOfSecond.pending).toBe(0)
  })

  test('close with those who are connected, and no timer stays', async () => {
    const socket = connect(admin.healthPort, '127.0.0.1')
    await new Promise<void>((resolve) => socket.once('connect', () => resolve()))
    const gone = new Promise<void>((resolve) => socket.resume().once('close', () => resolve()))
    // A whole exchange, so that the connection above has been taken for sure.
    await jsonOf('/health')
    await admin.close()
    await gone
    expect(clock.pending).toBe(0)
    await expect(
      new Promise((resolve, reject) => request({ port: admin.healthPort }, resolve).once('error', reject).end()),
    ).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })
})
