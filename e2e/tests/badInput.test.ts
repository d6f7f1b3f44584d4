/** Wrong input by people and wallets: each is told what is wrong and what to do, in the way their program understands. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type LocalRelay, programPath, runProgram } from '../src/network/index.ts'
import { fundedAccount } from './support/chain.ts'
import { useNetwork } from './support/network.ts'
import { askedFor } from './support/provider.ts'
import { ask, codeOf, encodeCall, fromWallet, type HttpOptions, http, oneSocket } from './support/rpc.ts'

const chain = 31337
const wallet = 'nkbihfbeogaeaoehlefnkodbefgpgknn'
const shared = useNetwork()
const endpoint = (id = chain) => shared.network.daemon.url(id)

describe('the endpoint', () => {
  const body = encodeCall('eth_chainId')
  /** What no gateway asks by itself, so that its provider tells whether it came there. */
  const { address } = fundedAccount(0)
  const telling = encodeCall('eth_getBalance', [address, 'latest'])
  const place = () => {
    const { host, port, pathname } = new URL(endpoint())
    return { host, port, token: pathname.split('/')[1] as string }
  }
  const send = (path: string, options: HttpOptions = {}, text = body) =>
    http(`http://127.0.0.1:${place().port}${path}`, text, options)

  test.each<readonly [string, () => string, () => HttpOptions]>([
    ['a wrong token', () => `/${'0'.repeat(32)}/${chain}`, () => ({})],
    ['no token', () => '/', () => ({})],
    ['a part of the token', () => `/${place().token.slice(1)}/${chain}`, () => ({})],
    ['a web origin', () => path(), () => ({ headers: { origin: 'https://dapp.example' } })],
    ['the origin null', () => path(), () => ({ headers: { origin: 'null' } })],
    ['its own origin', () => path(), () => ({ headers: { origin: new URL(endpoint()).origin } })],
    ['another extension', () => path(), () => fromWallet('abcdefghijklmnopabcdefghijklmnop')],
    ['a foreign host (DNS rebinding)', () => path(), () => ({ headers: { host: 'attacker.example' } })],
    ['a foreign host with its port', () => path(), () => ({ headers: { host: `attacker.example:${place().port}` } })],
    ['a page of another site', () => path(), () => ({ headers: { 'sec-fetch-site': 'cross-site' } })],
  ])('refuses %s with 403, and the gateway hears nothing of it', async (_, where, options) => {
    const provider = shared.network.providers[chain]
    provider?.forget()
    const answer = await send(where(), options(), telling)
    expect(answer.status).toBe(403)
    expect(answer.text).toBe('')
    expect(askedFor(provider, address)).toEqual([])
  })

  test.each<readonly [string, () => HttpOptions]>([
    ['a program', () => ({})],
    ['the wallet', () => fromWallet(wallet)],
    ['localhost', () => ({ headers: { host: `localhost:${place().port}` } })],
  ])('serves %s', async (_, options) => {
    const answer = await send(path(), options())
    expect(answer.json()).toEqual({ jsonrpc: '2.0', id: 1, result: '0x7a69' })
    shared.network.providers[chain]?.forget()
    expect((await send(path(), options(), telling)).json()).toHaveProperty('result')
    expect(askedFor(shared.network.providers[chain], address)).toHaveLength(1)
  })

  test('answers GET with 405', async () => {
    expect((await send(path(), { method: 'GET' })).status).toBe(405)
  })

  test('answers what is broken with HTTP 200 and its code, on a socket that stays open', async () => {
    const agent = oneSocket()
    const bodies = ['{', '[]', '7', '{"jsonrpc":"2.0","id":1}', encodeCall('eth_newFilter'), body]
    const answers = []
    for (const each of bodies) answers.push(await http(endpoint(), each, { agent }))
    answers.push(await http(endpoint(424242), body, { agent }))
    answers.push(await http(endpoint(), body, { agent }))
    agent.destroy()

    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    expect(new Set(answers.map(({ localPort }) => localPort)).size).toBe(1)
    expect(answers.map((answer) => codeOf(answer.json()))).toEqual([
      ...['bad-json', 'bad-request', 'bad-request', 'bad-request', 'method-not-allowed', undefined],
      ...['chain-not-served', undefined],
    ])
  })

  test.each([
    'eth_sign',
    'admin_peers',
    'debug_traceTransaction',
    'anvil_setBalance',
    'eth_accounts',
    'eth_noSuchMethod',
  ])('names the method that is not allowed: %s', async (method) => {
    const provider = shared.network.providers[chain]
    provider?.forget()
    const answer = await ask(endpoint(), method)
    expect(answer.error).toMatchObject({ code: -32601, message: expect.stringContaining(`[method: ${method}]`) })
    expect(answer.error?.data).toEqual({ nightjar: 'method-not-allowed', method })
    expect(askedFor(provider, method)).toEqual([])
  })

  test.each(['5', '0', '01', '0x1', 'mainnet', '', '99999999999999999999'])(
    'says that no gateway serves the chain "%s"',
    async (id) => {
      const answer = await send(`/${place().token}/${id}`)
      expect(answer.status).toBe(200)
      expect(answer.json()).toMatchObject({ id: 1, error: { code: 4901 } })
      expect(codeOf(answer.json())).toBe('chain-not-served')
    },
  )

  const path = () => new URL(endpoint()).pathname
})

describe('nightjar', () => {
  /** The program with a home of its own, in which no daemon runs. */
  async function alone(config: unknown, ...args: string[]) {
    const home = join(shared.network.folder, `home-${process.hrtime.bigint()}`)
    await mkdir(home)
    if (config !== undefined) await writeFile(join(home, 'config.yaml'), JSON.stringify(config))
    return runProgram(programPath('nightjar'), args, { env: { NIGHTJAR_HOME: home }, mayFail: true })
  }

  test.each([['status'], ['status', '--json'], ['rpc', 'eth_blockNumber']])(
    'without a daemon, %s says how to start it',
    async (...args) => {
      expect(await alone(undefined, ...args)).toEqual({
        code: 1,
        stdout: '',
        stderr: 'error: The Nightjar daemon is not running. Start it with `nightjar up`. [daemon-not-running]\n',
      })
    },
  )

  test('rpc prints results and errors, each with its exit code', async () => {
    const good = await shared.network.daemon.run('rpc', 'eth_chainId', '--chain', String(chain))
    expect(good).toEqual({ code: 0, stdout: '"0x7a69"\n', stderr: '' })
    const bad = await shared.network.daemon.run('rpc', 'eth_noSuchMethod', '--chain', String(chain))
    expect(bad.code).toBe(1)
    expect(JSON.parse(bad.stdout)).toMatchObject({ error: { code: -32601 } })
    const unserved = await shared.network.daemon.run('rpc', 'eth_chainId', '--chain', '5')
    expect(unserved.code).toBe(1)
    expect(JSON.parse(unserved.stdout)).toMatchObject({ error: { code: 4901, data: { nightjar: 'chain-not-served' } } })
    const nonsense = await shared.network.daemon.run('rpc', 'eth_chainId', '--chain', 'mainnet')
    expect(nonsense.code).toBe(1)
    expect(nonsense.stderr).toContain('a chain id is a positive decimal number')
  })

  const trust = { keys: [Buffer.alloc(32, 1).toString('base64')], threshold: 1 }
  test.each<readonly [string, unknown, string]>([
    [
      'a misspelt key',
      { network: { document: 'x', trust }, endpont: {} },
      'unknown key "endpont"; did you mean "endpoint"?',
    ],
    [
      'a misspelt key further in',
      { network: { document: 'x', trust: { ...trust, treshold: 1 } } },
      'unknown key "network.trust.treshold"; did you mean "network.trust.threshold"?',
    ],
    ['a missing section', { chains: [1] }, 'network is missing'],
    ['a wrong key', { network: { document: 'x', trust: { keys: ['AA=='], threshold: 1 } } }, 'network.trust.keys.0'],
    ['a threshold out of reach', { network: { document: 'x', trust: { ...trust, threshold: 2 } } }, 'network.trust'],
    ['a port that is none', { network: { document: 'x', trust }, endpoint: { port: 70_000 } }, 'endpoint.port'],
    ['a document over plain http', { network: { document: 'http://192.0.2.1/x', trust } }, 'https'],
  ])('up refuses %s', async (_, config, finding) => {
    const refused = await alone(config, 'up')
    expect(refused.code).toBe(1)
    expect(refused.stdout).toBe('')
    expect(refused.stderr).toContain(finding)
    expect(refused.stderr).toContain('[config-invalid]')
  })

  test('up says that there is no configuration', async () => {
    const refused = await alone(undefined, 'up')
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('config.yaml')
    expect(refused.stderr).toContain('[file-unusable]')
  })
})

describe('nightjar-relay', () => {
  const relay = (role: string) => shared.network.relays.all.find(({ roles }) => roles.includes(role)) as LocalRelay

  /** The relay's configuration, changed, beside the original. */
  async function changed(original: LocalRelay, change: (config: Record<string, unknown>) => void): Promise<string> {
    const config = JSON.parse(await readFile(original.configFile, 'utf8')) as Record<string, unknown>
    change(config)
    const file = original.configFile.replace(/relay\.yaml$/, 'changed.yaml')
    await writeFile(file, JSON.stringify(config))
    return file
  }

  const check = (file: string, ...args: string[]) =>
    runProgram(programPath('nightjar-relay'), ['check-config', '--config', file, ...args], { mayFail: true })

  test.each(['relay', 'gateway'])('check-config finds nothing wrong with a %s', async (role) => {
    const words = await check(relay(role).configFile)
    expect(words).toMatchObject({ code: 0, stdout: expect.stringMatching(/no problems\n$/) })
    const { code, stdout } = await check(relay(role).configFile, '--json')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ ok: true })
  })

  test.each<readonly [string, (config: Record<string, unknown>) => void, string, string]>([
    ['a misspelt key', (config) => (config.gatway = {}), 'unknown key "gatway"', 'did you mean "gateway"?'],
    ['a role without its section', (config) => (config.roles = ['gateway']), 'roles must not name gateway unless', ''],
    [
      'a public host without TLS',
      (config) => (config.listen = { host: '0.0.0.0', port: 1 }),
      'listen.host must be',
      '',
    ],
    ['a missing key', (config) => delete config.server_name, 'server_name is missing', ''],
  ])('check-config and a start name %s', async (_, change, finding, remedy) => {
    const file = await changed(relay('relay'), change)
    const checked = await check(file)
    expect(checked.code).toBe(1)
    expect(checked.stdout).toContain(finding)
    expect(checked.stdout).toContain(`→ ${remedy}`)
    const { code, stdout } = await check(file, '--json')
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, findings: [{ status: 'problem', code: 'config-invalid' }] })

    const start = await runProgram(programPath('nightjar-relay'), ['--config', file], { mayFail: true })
    expect(start).toMatchObject({ code: 1, stdout: '' })
    for (const words of [finding, remedy, '[config-invalid]']) expect(start.stderr).toContain(words)
  })

  test('says how it is used where it is not told what to do', async () => {
    const { code, stdout, stderr } = await runProgram(programPath('nightjar-relay'), [], { mayFail: true })
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/^Usage: nightjar-relay .*--config <file>/s)
  })

  test('check-config names a file of secrets that others may read', async () => {
    const copy = join(shared.network.folder, 'readable.key')
    const original = relay('relay')
    await writeFile(copy, await readFile(join(original.configFile, '..', 'identity.key')), { mode: 0o644 })
    const { code, stdout } = await check(await changed(original, (config) => (config.identity_file = copy)))
    expect(code).toBe(1)
    expect(stdout).toMatch(/PROBLEM.*(mode|permission|0600)/i)
  })
})
