/** What users get wrong, over the real command lines and the real endpoint: a clear error, and nothing is lost. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { programPath, runProgram } from '../src/network/index.ts'
import { useNetwork } from './support/network.ts'
import { ask, codeOf, encodeCall, fromWallet, http, oneSocket } from './support/rpc.ts'

const chain = 31337
const metaMask = 'nkbihfbeogaeaoehlefnkodbefgpgknn'
const shared = useNetwork()

const endpoint = () => shared.network.daemon.url(chain)

describe('the endpoint refuses with 403', () => {
  const refused: [string, () => Promise<{ status: number }>][] = [
    ['a wrong token', () => http(endpoint().replace(/[0-9a-f]{32}/, '0'.repeat(32)), encodeCall('eth_chainId'))],
    ['no token', () => http(`${new URL(endpoint()).origin}/`, encodeCall('eth_chainId'))],
    ['a web page', () => http(endpoint(), encodeCall('eth_chainId'), { headers: { origin: 'https://dapp.example' } })],
    ['a foreign Host', () => http(endpoint(), encodeCall('eth_chainId'), { headers: { host: 'rebound.example' } })],
    ['an unknown extension', () => http(endpoint(), encodeCall('eth_chainId'), fromWallet('a'.repeat(32)))],
    [
      'a cross-site request without an origin',
      () => http(endpoint(), encodeCall('eth_chainId'), { headers: { 'sec-fetch-site': 'cross-site' } }),
    ],
  ]
  test.each(refused)('%s', async (_, send) => {
    expect((await send()).status).toBe(403)
  })

  test('and lets the wallet in', async () => {
    const answer = await http(endpoint(), encodeCall('eth_chainId'), fromWallet(metaMask))
    expect([answer.status, answer.json().result]).toEqual([200, '0x7a69'])
  })
})

test('what is broken behind the endpoint is HTTP 200 on a socket that stays open', async () => {
  const agent = oneSocket()
  const bodies = ['{', '[]', '7', '{"jsonrpc":"2.0","id":1}', encodeCall('eth_newFilter'), encodeCall('eth_chainId')]
  const answers = []
  for (const body of bodies) answers.push(await http(endpoint(), body, { agent }))
  answers.push(await http(endpoint().replace(/\d+$/, '424242'), encodeCall('eth_chainId'), { agent }))
  answers.push(await http(endpoint().replace(/\d+$/, 'mainnet'), encodeCall('eth_chainId'), { agent }))
  agent.destroy()

  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
  expect(new Set(answers.map(({ localPort }) => localPort)).size).toBe(1)
  expect(answers.map((answer) => codeOf(answer.json()))).toEqual([
    ...['bad-json', 'bad-request', 'bad-request', 'bad-request', 'method-not-allowed', undefined],
    ...['chain-not-served', 'chain-not-served'],
  ])
})

test('a method that the gateway does not forward is named', async () => {
  const { error } = await ask(endpoint(), 'debug_traceTransaction', ['0x00'])
  expect(error).toMatchObject({ code: -32601, message: expect.stringContaining('debug_traceTransaction') })
})

test('a chain that nobody serves is named', async () => {
  const { error } = await ask(endpoint().replace(/\d+$/, '424242'), 'eth_chainId')
  expect(error).toMatchObject({ code: 4901, message: expect.stringContaining('424242') })
})

describe('the command lines', () => {
  test('name the nearest key for an unknown one', async () => {
    const { daemon, folder, relays } = shared.network
    const home = join(folder, 'misspelt')
    await mkdir(home)
    const config = JSON.parse(await readFile(join(daemon.home, 'config.yaml'), 'utf8')) as object
    await writeFile(join(home, 'config.yaml'), JSON.stringify({ ...config, endpiont: { port: 0 } }))
    const up = await runProgram(programPath('nightjar'), ['up'], { env: { NIGHTJAR_HOME: home }, mayFail: true })
    expect([up.code, up.stderr]).toEqual([1, expect.stringContaining('did you mean "endpoint"?')])

    const relayConfig = JSON.parse(await readFile(relays.all[0]?.configFile as string, 'utf8')) as object
    const relayFile = join(folder, 'misspelt.yaml')
    await writeFile(relayFile, JSON.stringify({ ...relayConfig, gatway: {} }))
    const relay = await runProgram(programPath('nightjar-relay'), ['--config', relayFile], { mayFail: true })
    expect([relay.code, relay.stderr]).toEqual([1, expect.stringContaining('did you mean "gateway"?')])
  })

  test('say what to do where no daemon runs', async () => {
    const env = { NIGHTJAR_HOME: join(shared.network.folder, 'nobody') }
    for (const args of [['status'], ['status', '--json'], ['rpc', 'eth_chainId']]) {
      const result = await runProgram(programPath('nightjar'), args, { env, mayFail: true })
      expect([result.code, result.stdout]).toEqual([1, ''])
      expect(result.stderr).toContain('Start it with `nightjar up`')
    }
  })

  test('print results and errors of a request', async () => {
    const { daemon } = shared.network
    const good = await daemon.run('rpc', 'eth_chainId', '--chain', String(chain))
    expect([good.code, JSON.parse(good.stdout)]).toEqual([0, '0x7a69'])
    const bad = await daemon.run('rpc', 'eth_newFilter', '--chain', String(chain))
    expect([bad.code, JSON.parse(bad.stdout)]).toEqual([1, { error: expect.objectContaining({ code: -32601 }) }])
    const nonsense = await daemon.run('rpc', 'eth_chainId', '--chain', 'mainnet')
    expect([nonsense.code, nonsense.stderr]).toEqual([1, expect.stringContaining('positive decimal number')])
  })

  test('check a relay’s configuration', async () => {
    const [relay] = shared.network.relays.all
    const args = ['check-config', '--config', relay?.configFile as string, '--json']
    const good = await runProgram(programPath('nightjar-relay'), args)
    expect(JSON.parse(good.stdout)).toMatchObject({ ok: true })
  })
})
