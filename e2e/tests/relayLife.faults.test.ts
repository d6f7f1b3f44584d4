/** What a relay goes on through: workers that hang, addresses that take too much, no files left, signals that come early. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { type LocalRelay, programPath, until } from '../src/network/index.ts'
import { isRunning, useNetwork } from './support/network.ts'
import { ask } from './support/rpc.ts'

const chain = 31337
const most = 12
const shared = useNetwork({
  configure: (config, { name }) => ({
    ...config,
    workers: name === 'swift' ? 2 : 1,
    limits: { ...(config.limits as object), connections_per_ip: most },
  }),
})
const relayOf = (name: string) => shared.network.relays.all.find((each) => each.name === name) as LocalRelay

const open: Socket[] = []
afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy()
})

/** A connection from `localAddress`, when it stands or is refused. */
async function dial({ host, port }: LocalRelay, localAddress: string): Promise<Socket> {
  const socket = connect({ host, port, localAddress })
  open.push(socket)
  socket.on('error', () => {})
  await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve))
  return socket
}

/** Whether a connection from there is answered. */
async function isAnswered(relay: LocalRelay, localAddress: string): Promise<boolean> {
  const socket = await dial(relay, localAddress)
  socket.write('GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n')
  return new Promise((resolve) => {
    socket.once('data', () => resolve(true))
    socket.once('close', () => resolve(false))
    if (socket.destroyed) resolve(false)
  })
}

async function workersOf({ process }: LocalRelay): Promise<number[]> {
  const children = await readFile(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8')
  return children.trim().split(' ').filter(Boolean).map(Number)
}

describe('a relay with two workers', () => {
  test('gives an address as many connections as it may have with both together, and no more', async () => {
    const relay = relayOf('swift')
    const held: Socket[] = []
    for (let count = 0; count < most; count++) held.push(await dial(relay, '127.0.0.99'))
    expect(await isAnswered(relay, '127.0.0.99')).toBe(false)
    expect(await isAnswered(relay, '127.0.0.98')).toBe(true)
    expect(held.filter(({ destroyed }) => destroyed)).toEqual([])
    for (const socket of held) socket.destroy()
    await until('it may have others', () => isAnswered(relay, '127.0.0.99'))
  })

  test('ends a worker that hangs, and replaces it', async () => {
    const relay = relayOf('swift')
    const workers = await workersOf(relay)
    expect(workers).toHaveLength(2)
    const [victim] = workers as [number]
    process.kill(victim, 'SIGSTOP')
    await until('it is replaced', async () => {
      const now = await workersOf(relay)
      return now.length === 2 && !now.includes(victim)
    })
    expect(isRunning(victim)).toBe(false)
    expect(relay.process.output()).toContain('a worker hangs and is ended')
    expect(await isAnswered(relay, '127.0.0.97')).toBe(true)
  })
})

test('a relay that has no files left goes on, and takes connections again when it has', async () => {
  const relay = relayOf('plover')
  const { pid } = relay.process
  const highest = Math.max(...(await readdir(`/proc/${pid}/fd`)).map(Number))
  const limitTo = (files: number | string) => execFileSync('prlimit', [`--pid=${pid}`, `--nofile=${files}:`])
  const [, before] = /^Max open files\s+(\d+)/m.exec(await readFile(`/proc/${pid}/limits`, 'utf8')) ?? []
  // Those below the highest that are free, and no more.
  limitTo(highest + 1)
  const held: Socket[] = []
  // Linux lets the other side connect; then it is told.
  for (let answered = true; answered; ) {
    held.push(await dial(relay, `127.0.0.${10 + held.length}`))
    answered = await isAnswered(relay, '127.0.0.95')
  }
  await expect(fetch(`http://127.0.0.1:${relay.healthPort}/health`)).rejects.toThrow()
  expect(isRunning(pid)).toBe(true)
  limitTo(before as string)
  for (const socket of held) socket.destroy()
  await until('it answers', () => isAnswered(relay, '127.0.0.96'))
  expect((await fetch(`http://127.0.0.1:${relay.healthPort}/health`)).status).toBe(200)
  expect((await ask(shared.network.daemon.url(chain), 'eth_chainId')).result).toBe('0x7a69')
})

test('a relay that is told to read its configuration anew before it serves does so when it serves', async () => {
  const relay = relayOf('curlew')
  await relay.process.stop()
  const before = await readFile(relay.configFile, 'utf8')
  // A directory that takes its time for the first answer.
  const directory = createServer().listen(0, '127.0.0.1')
  await once(directory, 'listening')
  const asked = once(directory, 'request') as Promise<[unknown, ServerResponse]>
  const config = JSON.parse(before) as { network: object }
  const document = `http://127.0.0.1:${(directory.address() as AddressInfo).port}/network.json`
  await writeFile(relay.configFile, JSON.stringify({ ...config, network: { ...config.network, document } }))

  const child = spawn(process.execPath, [programPath('nightjar-relay'), '--config', relay.configFile])
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => (printed += String(bytes)))
  const ended = once(child, 'exit')
  const [, response] = await asked
  expect(printed).not.toContain('"ready":true')
  child.kill('SIGHUP')
  await writeFile(relay.configFile, before)
  response.writeHead(503).end()
  await until('it has read it anew', () => printed.includes('configuration reloaded'))
  expect(printed).toContain('"ready":true')
  child.kill('SIGTERM')
  expect(await ended).toEqual([0, null])
  directory.close()
  await relay.restart()
})
