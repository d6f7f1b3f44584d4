/**
 * The direct way, watched: a whole stage in a network namespace whose name server and hosts are ours, so that each lookup
 * and each connection past the shield is seen, also such as the browser makes by itself.
 */
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { accountsApi, infura, listed } from './support/shieldStage.ts'
import { runInNamespace } from './support/sniffer/namespace.ts'

interface Seen {
  readonly lookups: readonly string[]
  readonly connections: readonly string[]
}

/** What shielded.mts prints; the lookups and connections of its own are those with the shield up. */
interface Report extends Seen {
  readonly beforehand: string
  /** Before the shield was put up. */
  readonly early: Seen
  readonly read: Readonly<Record<string, string>>
  readonly unlisted: string
  readonly datagrams: number
  readonly visitors: readonly string[]
  readonly exits: readonly string[]
}

const run = (script: string) => runInNamespace(join(import.meta.dirname, 'support', 'sniffer', script), 120_000)

let report: Report

beforeAll(async () => {
  report = (await run('shielded.mts')) as Report
})

test('the watch sees what goes directly: a listed host before the shield is up, and one that is not listed', () => {
  expect(report.early.lookups).toContain(infura)
  expect(report.early.connections).toContain(`${infura}:443`)
  expect(report.beforehand).toMatch(/^refused/)
  expect(report.lookups).toContain('unlisted.example')
  expect(report.connections).toContain('unlisted.example:443')
  expect(report.unlisted).toMatch(/^refused/)
})

test('wallet and page reach listed hosts in every way, from an exit', () => {
  expect(report.read).toEqual({
    page: infura,
    worker: infura,
    serviceWorker: infura,
    beacon: 'sent',
    webSocket: 'echo',
    wallet: accountsApi,
    walletSocket: 'echo',
  })
  expect(report.visitors.length).toBeGreaterThan(0)
  for (const visitor of report.visitors) expect(report.exits).toContain(visitor)
})

test('no listed host is looked up or connected to directly, not even by a prefetch', () => {
  for (const host of listed) {
    expect(report.lookups).not.toContain(host)
    expect(report.connections.filter((each) => each.startsWith(host))).toEqual([])
  }
  expect(report.datagrams).toBe(0)
})

// What docs/known-issues.md says of each ("The shield"): a window that closes, or another that opens, is to be seen there.
test('the windows that are known, and no others', async () => {
  expect(await run('windows.mts')).toEqual({
    // Neither a name server nor UDP is a matter of proxies.
    webRtc: { read: 'looked up', lookups: expect.any(Number), connections: 0, datagrams: expect.any(Number) },
    // Before the daemon is there, a page that opens with the browser fails.
    start: { read: expect.stringMatching(/^(refused.*|mainnet.infura.io)$/), lookups: 0, connections: 0, datagrams: 0 },
    // An extension that is disabled has no say any more.
    disabled: {
      read: 'refused: TypeError',
      lookups: expect.any(Number),
      connections: expect.any(Number),
      datagrams: 0,
    },
    enabledAgain: { read: 'up', lookups: 0, connections: 0, datagrams: 0 },
  })
})
