import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig, missingKeys } from '@nightjar/shared-node/config'
import * as v from 'valibot'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { configSchema, placesFrom, trustOf } from './config.ts'

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
    expect((await readFile(example, 'utf8')).match(/# default|# Default: (?!none)/g)).toHaveLength(6)
  })
})

describe('config', () => {
  test('defaults', async () => {
    expect(await load(minimal)).toEqual({
      network: { ...minimal.network, refresh_minutes: 30 },
      endpoint: { port: 8645 },
      wallets: ['nkbihfbeogaeaoehlefnkodbefgpgknn'],
      chains: [1, 11155111],
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
      socket: '/n/nightjar.sock',
      folders: ['/n'],
    })
  })

  test('the XDG folders', () => {
    expect(placesFrom({ XDG_CONFIG_HOME: '/c', XDG_STATE_HOME: '/s', XDG_RUNTIME_DIR: '/r' })).toEqual({
      config: '/c/nightjar/config.yaml',
      state: '/s/nightjar/state.json',
      document: '/s/nightjar/newest-network.json',
      socket: '/r/nightjar/nightjar.sock',
      folders: ['/c/nightjar', '/s/nightjar', '/r/nightjar'],
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
    expect(places.socket).toBe(join(tmpdir(), `nightjar-${process.getuid?.() ?? 0}`, 'nightjar/nightjar.sock'))
  })
})
