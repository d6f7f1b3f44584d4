import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { errorTable } from '@nightjar/shared/errors'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { countCode, RelayMeter } from '../relay/meter.ts'
import { createMetrics, createParentMetrics, type Metrics } from './metrics.ts'
import { coarse, gaugeOf, type Reading, sumOf, textOf } from './reading.ts'

const region = 'eu-west'
const version = '1.2.3'
const exit = { open: 3, ended: new Map([['done', 4] as const]), fromHosts: 5000, toHosts: 6000 }
let meter: RelayMeter
let metrics: Metrics
let areWell: boolean[]

/** A process in which each metric has a value. */
beforeEach(() => {
  meter = new RelayMeter()
  metrics = createMetrics({ region, version })
  metrics.watchRelay({
    counts: meter,
    connections: () => 1,
    maxConnections: () => 1000,
    onwardLinks: () => 1,
    heldBack: { cells: 1, bandwidth: 0 },
    traffic: { received: 5000, sent: 6000 },
    keysValidFor: () => 700_000_500,
  })
  metrics.watchExit(exit)
  areWell = [true, false]
  metrics.watchChains(() => [{ chain: 1, areWell, headFailures: 2 }])
  metrics.watchFollowed(() => ({ heads: 1, watches: 9, lingering: 2 }))
  metrics.onForwarded('forward', 0.02)
  metrics.onRefused('address-rate')
  const upstreams = metrics.upstreamMetrics(1)
  upstreams.onOutcome(0, 'answered', 30)
  upstreams.onOutcome(1, 'timed-out', 5000)
  upstreams.onEjected(1)
  upstreams.onHedged()
  const codes = [meter.linksClosed, meter.circuitsClosed, meter.branchesClosed, meter.handshakes]
  for (const each of codes) for (const code in errorTable) countCode(each, code as keyof typeof errorTable)
})

afterEach(() => metrics.close())

async function whole(): Promise<Reading> {
  const parent = createParentMetrics({ region })
  parent.onWorkerReplaced()
  return sumOf([await metrics.serialise(), await parent.serialise()])
}

/** Each metric's name and type, and the text about it. */
async function described() {
  const text = await textOf(await whole())
  return [...text.matchAll(/^# HELP (\S+) (.*)\n# TYPE \S+ (\S+)$/gm)].map(([, name, help, type]) => ({
    ...{ name: name as string, help: help as string, type: type as string },
  }))
}

test('the guide for operators has each metric with its labels, and no other', async () => {
  const guide = await readFile(new URL('../../../docs/operator-guide.md', import.meta.url), 'utf8')
  const rows = [...guide.matchAll(/^\| `(nightjar_\w+)` +\| (\w+) +\| ([^|]*)\|/gm)]
  const said = Object.fromEntries(
    rows.map(([, name, type, labels]) => [name, `${type} ${(labels as string).replaceAll('`', '').trim()}`.trim()]),
  )
  const { families } = await whole()
  const labelsOf = (name: string) => {
    const own = families.find((family) => family.name === name)?.values.flatMap(({ labels }) => Object.keys(labels))
    return [...new Set(own)].filter((label) => label !== 'region' && label !== 'le').sort()
  }
  const there = (await described()).map(({ name, type }) => [name, `${type} ${labelsOf(name).join(', ')}`.trim()])
  expect(said).toEqual(Object.fromEntries(there))
})

describe('privacy', () => {
  test('every sample has the region, and labels of a known few', async () => {
    const { families } = await whole()
    const labels = families.flatMap(({ values }) => values.map((sample) => sample.labels))
    expect(new Set(labels.map((each) => each.region))).toEqual(new Set([region]))
    expect([...new Set(labels.flatMap(Object.keys))].sort()).toEqual(
      ['chain', 'code', 'direction', 'le', 'outcome', 'reason', 'region', 'statistic', 'upstream', 'version'].sort(),
    )
  })

  test('no name, help or label has anything like an address, URL, key or hash', async () => {
    const text = await textOf(coarse(await whole()))
    const words = text.split(/[^\w.:/-]+/).filter((word) => word !== version)
    expect(words.filter((word) => isIP(word) !== 0)).toEqual([])
    expect(text).not.toMatch(/:\/\/|0x|[0-9a-f]{20}|\d+\.\d+\.\d+\.\d+/i)
    expect(words.filter((word) => word.length > 40)).toEqual([])
  })

  test.each([
    '192.0.2.1',
    '2001:db8::1',
    '::1',
    'https://rpc.example.org/v1/key',
    'rpc.example.org',
    '0x52908400098527886E0F7030069857D2E4169EE7',
    '52908400098527886e0f7030069857d2e4169ee7',
    'eth_getBalance',
    '',
  ])('a label that says "%s" is never read', async (secret) => {
    metrics.onRefused(secret)
    await expect(metrics.serialise()).rejects.toThrow(/^nightjar_refused_total: reason is no plain word$/)
  })

  test('every outcome, code and reason that there is can be shown', async () => {
    const text = await textOf(await whole())
    for (const code in errorTable) expect(text).toContain(`code="${code}"`)
    for (const outcome of ['answered', 'timed-out']) expect(text).toContain(`outcome="${outcome}"`)
  })

  test('what tells nothing of clients, and only that, is exact', async () => {
    const { families, steps } = await whole()
    const names = families.flatMap(({ name, values }) => values.map(({ metricName = name }) => metricName))
    expect([...new Set(names)].filter((name) => steps[name] === undefined).sort()).toEqual([
      'nightjar_info',
      'nightjar_keys_valid_seconds',
      'nightjar_max_connections',
      'nightjar_upstream_ejections_total',
      'nightjar_upstream_healthy',
      // Of connections that are rounded already.
      'nightjar_utilization_ratio',
      'nightjar_workers',
      'nightjar_workers_replaced_total',
    ])
  })

  test('one client, its circuit and a megabyte of cells look like eight and two', async () => {
    meter.circuits = 1
    meter.cells.forward = 1025
    const shown = coarse(await whole())
    expect(gaugeOf(shown, 'nightjar_connections')).toBe(8)
    expect(gaugeOf(shown, 'nightjar_utilization_ratio')).toBe(0.008)
    expect(gaugeOf(shown, 'nightjar_circuits')).toBe(8)
    expect(gaugeOf(shown, 'nightjar_cells_total')).toBe(2048)
    expect(gaugeOf(shown, 'nightjar_bytes_total')).toBe(2048 * 1024)
    expect(gaugeOf(shown, 'nightjar_exit_bytes_total')).toBe(1024 * 1024)
    expect((gaugeOf(shown, 'nightjar_resident_memory_bytes') as number) % (1024 * 1024)).toBe(0)
    // Of this process, which has some files open and no twentieth of what it may.
    expect(gaugeOf(shown, 'nightjar_open_files_ratio')).toBe(0.05)
  })
})

describe('several workers', () => {
  test('are counted, and their numbers add up', async () => {
    const readings = [await metrics.serialise(), await metrics.serialise(), await metrics.serialise()]
    const sum = await sumOf(readings)
    expect(gaugeOf(sum, 'nightjar_workers')).toBe(3)
    expect(gaugeOf(sum, 'nightjar_connections')).toBe(3)
    expect(gaugeOf(sum, 'nightjar_max_connections')).toBe(1000)
    expect(gaugeOf(sum, 'nightjar_info')).toBe(1)
  })

  test('have a healthy upstream only where all of them think so', async () => {
    const one = await metrics.serialise()
    areWell = [false, true]
    const text = await textOf(await sumOf([one, await metrics.serialise()]))
    for (const upstream of [0, 1]) {
      expect(text).toContain(`nightjar_upstream_healthy{chain="1",upstream="${upstream}",region="eu-west"} 0\n`)
    }
  })
})

test('of upstreams only answers are timed', async () => {
  const text = await textOf(await whole())
  expect(text).toContain('nightjar_upstream_seconds_count{chain="1",upstream="0",region="eu-west"} 1\n')
  expect(text).not.toContain('nightjar_upstream_seconds_count{chain="1",upstream="1"')
  expect(text).toContain(
    'nightjar_upstream_requests_total{chain="1",upstream="1",outcome="timed-out",region="eu-west"} 1\n',
  )
})
