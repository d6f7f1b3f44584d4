/** A relay's life while people use it: told to stop, to read its configuration anew, and with workers that die. */
import { readdir, readFile, readlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Hex } from 'viem'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type LocalNetwork, type LocalRelay, until } from '../src/network/index.ts'
import { deploy, echoContract } from './support/chain.ts'
import { startLoad } from './support/load.ts'
import { isRunning, useNetwork } from './support/network.ts'
import { pathOf, roles } from './support/paths.ts'
import { askedFor } from './support/provider.ts'
import { ask } from './support/rpc.ts'

const chain = 31337

describe('a relay that is told to stop', () => {
  // Branches leave within half of the time to drain, at random.
  const shared = useNetwork({ tapped: true, configure: (config) => ({ ...config, drain_timeout: 10 }) })
  const url = () => shared.network.daemon.url(chain)
  let echo: Hex
  beforeAll(async () => {
    echo = await deploy(shared.network.nodes[chain] as string, echoContract)
  })

  const pathNow = () => pathOf(shared.network, () => ask(url(), 'eth_chainId'))

  test.each(roles)('as %s under 200 running requests: it ends by itself, and each was asked once', async (role) => {
    const { [role]: victim } = await pathNow()
    const load = await startLoad({ network: shared.network, chain, echo })
    victim.process.signal('SIGTERM')
    await until('it says so', async () => (await healthOf(victim)).status === 503)
    expect((await healthOf(victim)).body).toMatchObject({ status: 'draining' })
    expect(load.running).toBeGreaterThan(0)
    expect(await victim.process.ended).toBe(0)
    await load.expectAnswered()

    // Nothing was lost on the way and asked for again: no transaction, and no read more often than any other. (Where answers
    // are compared, each is asked at two gateways.)
    expect(load.submissions()).toEqual(Array.from({ length: 10 }, () => 1))
    const reads = askedFor(shared.network.providers[chain], echo).map(({ body }) => /0x00[0-9a-f]{64}/.exec(body)?.[0])
    const times = new Map(reads.map((data) => [data, reads.filter((each) => each === data).length]))
    expect(times.size).toBe(190)
    expect([...new Set(times.values())]).toHaveLength(1)
    expect((await pathNow())[role].name).not.toBe(victim.name)
    await victim.restart()
    await until('both paths stand', async () => (await shared.network.daemon.status()).state === 'private')
  })

  describe('by people who do not leave', () => {
    let entry: LocalRelay
    beforeEach(async () => {
      entry = await entryOf(shared.network)
      shared.network.daemon.process.signal('SIGSTOP')
    })
    afterEach(async () => {
      shared.network.daemon.process.signal('SIGCONT')
      await entry.restart()
      await until('both paths stand', async () => (await shared.network.daemon.status()).state === 'private')
    })

    test('ends at once when it is told so again', async () => {
      entry.process.signal('SIGTERM')
      await until('it drains', async () => (await healthOf(entry)).status === 503)
      entry.process.signal('SIGTERM')
      expect(await entry.process.ended).toBe(0)
    })

    test('ends when its time is over', async () => {
      const config = JSON.parse(await readFile(entry.configFile, 'utf8')) as object
      await reload(entry, { ...config, drain_timeout: 1 })
      await until('it knows', () => entry.process.output().includes('configuration reloaded'))
      entry.process.signal('SIGTERM')
      expect(await entry.process.ended).toBe(0)
    })
  })
})

async function healthOf({ healthPort }: LocalRelay): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`http://127.0.0.1:${healthPort}/health`)
  return { status: response.status, body: await response.json() }
}

describe('a relay that reads its configuration anew', () => {
  const shared = useNetwork({ configure: (config) => ({ ...config, descriptor: { file: 'published.json' } }) })

  test('has written its descriptor for the directories', async () => {
    for (const { configFile } of shared.network.relays.all) {
      const published = JSON.parse(await readFile(join(dirname(configFile), 'published.json'), 'utf8')) as object
      expect(published).toEqual({ payload: expect.any(String), signature: expect.any(String) })
    }
  })

  test('uses what it can, names what needs a restart, and refuses what is wrong, with all its links in place', async () => {
    const relay = shared.network.relays.all[1] as LocalRelay
    const url = shared.network.daemon.url(chain)
    const config = JSON.parse(await readFile(relay.configFile, 'utf8')) as { listen: object; limits?: object }
    const before = await shared.network.daemon.status()

    await reload(relay, { ...config, drain_timeout: 7, log: { level: 'debug' }, listen: { ...config.listen, port: 1 } })
    await until('it says what it did', () => relay.process.output().includes('configuration reloaded'))
    expect(logOf(relay, 'configuration reloaded')).toMatchObject({ changed: ['drain_timeout', 'log'] })
    expect(logOf(relay, 'these keys need a restart; their old values stay')).toMatchObject({ keys: ['listen.port'] })

    await reload(relay, { ...config, drain_timeout: 'soon' })
    await until('it refuses', () => relay.process.output().includes('configuration refused'))
    expect(logOf(relay, 'configuration refused; the old one stays')).toMatchObject({
      error: { code: 'config-invalid', detail: expect.stringContaining('drain_timeout') },
    })
    expect(logOf(relay, 'configuration refused; the old one stays')).not.toHaveProperty('error.stack')
    expect((await ask(url, 'eth_chainId')).result).toBe('0x7a69')
    expect((await shared.network.daemon.status()).trunks).toEqual(before.trunks)
  })
})

async function reload(relay: LocalRelay, config: object): Promise<void> {
  await writeFile(relay.configFile, JSON.stringify(config))
  relay.process.signal('SIGHUP')
}

/** The newest line of its log with this message. */
function logOf({ process }: LocalRelay, message: string): unknown {
  const lines = process
    .output()
    .split('\n')
    .filter((line) => line.startsWith('{'))
  return lines.map((line) => JSON.parse(line) as { msg?: string }).findLast(({ msg }) => msg === message)
}

describe.each(['none', 'pinned'] as const)('relays with two workers each, TLS %s', (tls) => {
  const shared = useNetwork({ tls, configure: (config) => ({ ...config, workers: 2 }) })
  const url = () => shared.network.daemon.url(chain)

  test('share a port; one that is killed is replaced and counted, and everything is answered', async () => {
    const entry = await entryOf(shared.network)
    const workers = await workersOf(entry)
    expect(workers).toHaveLength(2)
    for (const victim of workers) {
      process.kill(victim, 'SIGKILL')
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(url(), 'eth_chainId')))
      expect(answers.map(({ result }) => result)).toEqual(Array.from({ length: 20 }, () => '0x7a69'))
    }
    await until('both are replaced', async () => {
      const now = await workersOf(entry)
      return now.length === 2 && !now.some((pid) => workers.includes(pid))
    })
    await until('it is well again', async () => (await healthOf(entry)).status === 200)
    const printed = entry.process.output().split('\n')
    expect(printed.filter((line) => line.includes('a worker ended by itself'))).toHaveLength(2)
    expect(printed.filter((line) => line.startsWith('{"ready":true'))).toHaveLength(1)
  })

  test('one that is killed takes nobody else’s links along', async () => {
    const entry = await entryOf(shared.network)
    const links = await clientLinksOf(entry)
    expect(links).toHaveLength(1)
    const workers = await workersOf(entry)
    const others = await Promise.all(workers.map(async (pid) => ((await socketsOf(pid)).has(links[0]) ? [] : [pid])))
    const [victim] = others.flat()
    expect(others.flat()).toHaveLength(1)
    process.kill(victim as number, 'SIGKILL')
    await until('it is replaced', async () => (await workersOf(entry)).length === 2 && !isRunning(victim as number))
    expect((await ask(url(), 'eth_chainId')).result).toBe('0x7a69')
    expect(await clientLinksOf(entry)).toEqual(links)
  })

  test('drain and reload as one', async () => {
    const entry = await entryOf(shared.network)
    const workers = await workersOf(entry)
    entry.process.signal('SIGHUP')
    await until('it says what it did', () => entry.process.output().includes('configuration reloaded'))
    const answers = Promise.all(Array.from({ length: 50 }, () => ask(url(), 'eth_chainId')))
    entry.process.signal('SIGTERM')
    expect(await entry.process.ended).toBe(0)
    expect((await answers).filter(({ result }) => result !== '0x7a69')).toEqual([])
    expect(workers.filter(isRunning)).toEqual([])
    await entry.restart()
  })
})

async function entryOf(network: LocalNetwork): Promise<LocalRelay> {
  const { trunks } = await network.daemon.status()
  return network.relays.all.find(({ name }) => name === trunks[0]?.entry.name) as LocalRelay
}

/** The processes of a relay's workers, by what the system says. */
async function workersOf({ process }: LocalRelay): Promise<number[]> {
  const children = await readFile(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8')
  return children.trim().split(' ').filter(Boolean).map(Number)
}

/** Sockets (their inodes) on which the daemon, at 127.0.0.1, has connections to the relay. */
async function clientLinksOf({ host, port }: LocalRelay): Promise<string[]> {
  const local = `${hexOf(host)}:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const rows = (await readFile('/proc/net/tcp', 'utf8')).split('\n').map((row) => row.trim().split(/ +/))
  return rows.flatMap(([, at, from, state, , , , , , inode]) =>
    at === local && state === '01' && from?.startsWith(hexOf('127.0.0.1')) && inode !== undefined ? [inode] : [],
  )
}

/** As the kernel writes it: bytes in the machine's order. */
function hexOf(address: string): string {
  return address
    .split('.')
    .reverse()
    .map((byte) => Number(byte).toString(16).toUpperCase().padStart(2, '0'))
    .join('')
}

async function socketsOf(pid: number): Promise<Set<string | undefined>> {
  const fds = await readdir(`/proc/${pid}/fd`)
  const targets = await Promise.all(fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')))
  return new Set(targets.map((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1]))
}
