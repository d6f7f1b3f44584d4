import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig, missingKeys } from '@nightjar/shared-node/config'
import * as v from 'valibot'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { claimSocket, configSchema, placesFrom, trustOf } from './config.ts'

const example = new URL('../config.example.yaml', import.meta.url).pathname
const key = (fill: number) => Buffer.alloc(32, fill).toString('base64')
const minimal = { network: { document: 'network.json', trust: { keys: [key(1), key(2)], threshold: 2 } } }

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-client-config-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** JSON is YAML. */
async function load(config: unknown) {
  const file = join(folder, 'config.yaml')
  await writeFile(file, JSON.stringify(config, null, 2))
  return loadConfig(file, configSchema)
}

async function findingOf(config: unknown): Promise<string> {
  const error: unknown = await load(config).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toMatchObject({ name: 'NightjarError', code: 'config-invalid' })
  return (error as { detail: string }).detail.replace(/^.*config\.yaml(:\d+)?: /, '')
}

describe('config.example.yaml', () => {
  test('loads', async () => {
    const config = await loadConfig(example, configSchema)
    expect(config.network.document).toBe('https://directory.example.org/network.json')
    expect(trustOf(config)).toMatchObject({ threshold: 2, keys: { length: 3 } })
    expect(trustOf(config).keys.map(({ length }) => length)).toEqual([32, 32, 32])
  })

  test('names every key', async () => {
    expect(missingKeys(configSchema, await loadConfig(example, v.unknown()))).toEqual([])
  })

  test('what it calls a default is the default', async () => {
    const [said, defaults] = [await loadConfig(example, configSchema), await load(minimal)]
    const { ca_file: _, ...network } = said.network
    expect({ ...said, network: { ...network, ...minimal.network } }).toEqual(defaults)
    expect((await readFile(example, 'utf8')).match(/# default|# Default: (?!none)/g)).toHaveLength(12)
  })
})

describe('config', () => {
  test('defaults', async () => {
    expect(await load(minimal)).toEqual({
      network: { ...minimal.network, refresh_minutes: 30 },
      endpoint: { port: 8645 },
      shield: { port: 0 },
      wallets: ['nkbihfbeogaeaoehlefnkodbefgpgknn'],
      chains: [1, 11155111],
      accounts: {
        apart: true,
        linking: 'refuse',
        freshness_seconds: 12,
        cold_spread_seconds: 1800,
        compare_calls: true,
      },
      profile: 'fast',
      log: { level: 'info' },
    })
  })

  const withNetwork = (network: object) => ({ network: { ...minimal.network, ...network } })
  const withTrust = (trust: object) => withNetwork({ trust: { ...minimal.network.trust, ...trust } })

  test.each<[string, unknown, string]>([
    ['a misspelt section', { ...minimal, endpont: {} }, 'unknown key "endpont"; did you mean "endpoint"?'],
    ['a misspelt key', { ...minimal, log: { levle: 'info' } }, 'unknown key "log.levle"; did you mean "log.level"?'],
    [
      'a key of another kind',
      withTrust({ treshold: 2 }),
      'unknown key "network.trust.treshold"; did you mean "network.trust.threshold"?',
    ],
    ['no network', { profile: 'fast' }, 'network is missing'],
    ['no keys', withTrust({ keys: [] }), 'network.trust.keys must have at least 1 elements or letters; 1 more problem'],
    [
      'a short key',
      withTrust({ keys: [key(1).slice(4), key(2)] }),
      'network.trust.keys.0 must be the base64 text of a 32-byte Ed25519 key',
    ],
    [
      'a key that is no base64',
      withTrust({ keys: ['!', key(2)] }),
      'network.trust.keys.0 must be the base64 text of a 32-byte Ed25519 key',
    ],
    [
      'one key twice',
      withTrust({ keys: [key(1), key(1)] }),
      'network.trust must not ask for more signatures than keys',
    ],
    ['a threshold of none', withTrust({ threshold: 0 }), 'network.trust.threshold must be at least 1'],
    ['a port too high', { ...minimal, endpoint: { port: 65536 } }, 'endpoint.port must be at most 65535'],
    ['a shield on no port', { ...minimal, shield: { port: -1 } }, 'shield.port must be at least 0'],
    ['a web site as a wallet', { ...minimal, wallets: ['https://x.example'] }, 'wallets.0 must be an extension id'],
    ['a chain that is none', { ...minimal, chains: [0] }, 'chains.0 must be at least 1'],
    ['a profile that is to come', { ...minimal, profile: 'strong' }, 'profile must be fast'],
    ['refreshing all the time', withNetwork({ refresh_minutes: 0 }), 'network.refresh_minutes must be at least 1'],
  ])('%s is refused by its name', async (_, config, finding) => {
    expect(await findingOf(config)).toBe(finding)
  })

  test('port 0 and no wallets are allowed', async () => {
    expect(await load({ ...minimal, endpoint: { port: 0 }, wallets: [] })).toMatchObject({
      endpoint: { port: 0 },
      wallets: [],
    })
  })
})

describe('placesFrom', () => {
  const own = `nightjar-${process.getuid?.() ?? 0}`

  test('NIGHTJAR_HOME overrides everything', () => {
    const places = placesFrom({
      NIGHTJAR_HOME: '/n',
      XDG_CONFIG_HOME: '/c',
      XDG_STATE_HOME: '/s',
      XDG_RUNTIME_DIR: '/r',
    })
    expect(places).toEqual({
      config: '/n/config.yaml',
      state: '/n/state.json',
      document: '/n/newest-network.json',
      pid: '/n/daemon.pid',
      wrapper: '/n/nightjar-host',
      socket: '/n/nightjar.sock',
      folders: ['/n'],
      exposed: undefined,
    })
  })

  test('the XDG folders', () => {
    expect(placesFrom({ XDG_CONFIG_HOME: '/c', XDG_STATE_HOME: '/s', XDG_RUNTIME_DIR: '/r' })).toEqual({
      config: '/c/nightjar/config.yaml',
      state: '/s/nightjar/state.json',
      document: '/s/nightjar/newest-network.json',
      pid: '/s/nightjar/daemon.pid',
      wrapper: '/s/nightjar/nightjar-host',
      socket: '/r/nightjar/nightjar.sock',
      folders: ['/c/nightjar', '/s/nightjar', '/r/nightjar'],
      exposed: undefined,
    })
  })

  test('an empty variable counts as unset (XDG base directory specification)', () => {
    const empty = { NIGHTJAR_HOME: '', XDG_CONFIG_HOME: '', XDG_STATE_HOME: '', XDG_RUNTIME_DIR: '' }
    expect(placesFrom(empty)).toEqual(placesFrom({}))
  })

  test('without either the folders of the user, and a runtime folder that names the user', () => {
    const places = placesFrom({})
    expect(places.config).toBe(join(homedir(), '.config/nightjar/config.yaml'))
    expect(places.state).toBe(join(homedir(), '.local/state/nightjar/state.json'))
    expect(places.socket).toBe(join(tmpdir(), own, 'nightjar/nightjar.sock'))
    expect(places.exposed).toBe(join(tmpdir(), own))
  })

  test('a relative folder is the same wherever a process starts', () => {
    expect(placesFrom({ NIGHTJAR_HOME: 'home/' })).toEqual(placesFrom({ NIGHTJAR_HOME: join(process.cwd(), 'home') }))
  })

  describe('a socket path', () => {
    const limit = process.platform === 'linux' ? 107 : 103
    /** A home whose socket has a path of `length` bytes. */
    const homeFor = (length: number, letter = 'x') => `/${letter.repeat(length - '//nightjar.sock'.length)}`

    test('of the length that the system allows stays', async () => {
      const home = homeFor(limit)
      expect(placesFrom({ NIGHTJAR_HOME: home }).socket).toBe(`${home}/nightjar.sock`)
    })

    test('that is longer becomes a short one, always the same for the same home', () => {
      const places = placesFrom({ NIGHTJAR_HOME: homeFor(limit + 1) })
      expect(places.socket).toMatch(new RegExp(`^/tmp/${own}/[0-9a-f]{16}\\.sock$`))
      expect(places.folders).toEqual([homeFor(limit + 1), `/tmp/${own}`])
      expect(places.exposed).toBe(`/tmp/${own}`)
      expect(placesFrom({ NIGHTJAR_HOME: homeFor(limit + 1), TMPDIR: '/elsewhere' })).toEqual(places)
      expect(placesFrom({ NIGHTJAR_HOME: homeFor(limit + 1, 'y') }).socket).not.toBe(places.socket)
    })

    test('is measured in bytes, not in letters', () => {
      expect(placesFrom({ NIGHTJAR_HOME: `/${'ä'.repeat(limit / 2)}` }).exposed).toBe(`/tmp/${own}`)
    })

    test('can be listened on', async () => {
      const home = join(folder, 'long'.repeat(40))
      const places = placesFrom({ NIGHTJAR_HOME: home })
      const server = createServer()
      const path = await claimSocket(places)
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(path, resolve)
      })
      expect(placesFrom({ NIGHTJAR_HOME: home }).socket).toBe(server.address())
      await new Promise((resolve) => server.close(resolve))
    })
  })
})

describe('claimSocket', () => {
  const claim = (exposed: string | undefined) =>
    claimSocket({ ...placesFrom({}), socket: '/the/socket', exposed }).catch((error: unknown) => error)
  let exposed: string
  beforeEach(() => {
    exposed = join(folder, `exposed-${process.hrtime.bigint()}`)
  })

  test('makes the folder for the user alone, and takes it again', async () => {
    expect(await claim(exposed)).toBe('/the/socket')
    expect((await stat(exposed)).mode & 0o777).toBe(0o700)
    expect(await claim(exposed)).toBe('/the/socket')
  })

  test("a folder that lies among the user's own is not looked at", async () => {
    expect(await claim(undefined)).toBe('/the/socket')
  })

  test.each<[string, () => Promise<unknown>]>([
    ['a link to a folder', () => symlink(folder, exposed)],
    ['a file', () => writeFile(exposed, '', { mode: 0o600 })],
    ['a folder that others may enter', () => mkdir(exposed).then(() => chmod(exposed, 0o755))],
  ])('%s is refused', async (_, make) => {
    await make()
    expect(await claim(exposed)).toMatchObject({ code: 'file-unusable', detail: expect.stringContaining(exposed) })
  })

  test('a folder of somebody else is refused', async () => {
    await mkdir(exposed, { mode: 0o700 })
    const somebodyElse = vi.spyOn(process, 'getuid').mockReturnValue(12345)
    expect(await claim(exposed)).toMatchObject({ code: 'file-unusable' })
    somebodyElse.mockRestore()
    expect(await claim(exposed)).toBe('/the/socket')
  })

  test('one that cannot be made is an error of the file', async () => {
    expect(await claim(join(folder, 'none', 'deeper'))).toMatchObject({ code: 'file-unusable' })
  })
})
