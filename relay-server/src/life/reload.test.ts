import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { relayConfig } from '../cli/testing/harness.ts'
import { loadRelayConfig, type RelayConfig } from '../config.ts'
import { planReload } from './reload.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-reload-'))
})
afterEach(() => rm(folder, { recursive: true }))

const gateway = (url: string) => ({
  roles: ['relay', 'gateway'],
  gateway: { chains: { 1: { upstreams: [{ url }] } } },
})
const tls = { cert_file: 'cert.pem', key_file: 'key.pem' }

async function load(change: object = {}): Promise<RelayConfig> {
  const file = join(folder, 'relay.yaml')
  await writeFile(file, stringify({ ...relayConfig('keys'), ...change }))
  return loadRelayConfig(file)
}

async function plan(before: object, after: object) {
  const [current, wanted] = [await load(before), await load(after)]
  return { current, wanted, ...planReload(current, wanted) }
}

test('the same configuration changes nothing', async () => {
  const { current, config, changed, needRestart } = await plan({}, {})
  expect([config, changed, needRestart]).toEqual([current, [], []])
})

test.each([
  ['log', { log: { level: 'debug' } }, ['log']],
  [
    'limits of links',
    { limits: { max_connections: 7, cells_per_second: 9 } },
    ['limits.max_connections', 'limits.cells_per_second'],
  ],
  ['how long it drains', { drain_timeout: 5 }, ['drain_timeout']],
  ['what it calls itself', { server_name: 'other', region: 'us' }, ['region', 'server_name']],
  ['the document', { network: { ...(relayConfig('keys').network as object), document: 'other.json' } }, ['network']],
])('%s can change at once', async (_, after, keys) => {
  const { config, wanted, changed, needRestart } = await plan({}, after)
  expect(config).toEqual(wanted)
  expect([[...changed].sort(), needRestart]).toEqual([[...keys].sort(), []])
})

test.each([
  ['where it listens', { listen: { host: '127.1.0.1', port: 7, path: '/other' } }, ['listen.path', 'listen.port']],
  [
    'whose clients proxies speak for',
    { listen: { host: '127.1.0.1', port: 0, trusted_proxies: ['10.0.0.1'] } },
    ['listen.trusted_proxies'],
  ],
  ['the identity', { identity_file: 'other.key' }, ['identity_file', 'onion_keys_file']],
  ['workers', { workers: 3 }, ['workers']],
  ['roles, with what they bring', gateway('https://rpc.example.org'), ['gateway', 'roles']],
  ['admin ports', { admin: { health_port: 1 } }, ['admin']],
  ['what is counted already', { limits: { connections_per_ip: 3 } }, ['limits.connections_per_ip']],
  [
    'TLS where there was none',
    { listen: { host: '127.1.0.1', port: 0, tls }, public_address: 'wss://192.0.2.1/' },
    ['listen.tls'],
  ],
])('%s needs a restart, and stays as it is', async (_, after, keys) => {
  const { current, config, needRestart } = await plan({}, after)
  expect([...needRestart].sort()).toEqual(keys)
  expect({ ...config, public_address: '' }).toEqual({ ...current, public_address: '' })
})

test('upstreams and certificates can be others', async () => {
  const listen = (cert_file: string) => ({ host: '127.1.0.1', port: 0, tls: { ...tls, cert_file } })
  const secure = { public_address: 'wss://192.0.2.1/' }
  const { config, wanted, changed, needRestart } = await plan(
    { ...secure, ...gateway('https://one.example.org'), listen: listen('one.pem') },
    { ...secure, ...gateway('https://two.example.org'), listen: listen('two.pem') },
  )
  expect(config).toEqual(wanted)
  expect([[...changed].sort(), needRestart]).toEqual([['gateway', 'listen.tls'], []])
})
