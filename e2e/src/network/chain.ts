/** A real Ethereum node for a chain: anvil from its npm package, with a home of its own that goes with it. */

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { freePorts, until } from './ports.ts'
import { distFolder } from './programs.ts'

export interface Chain {
  readonly id: number
  readonly url: string
  readonly pid: number
  signal(name: NodeJS.Signals): void
  stop(): Promise<void>
}

const host = '127.0.0.1'

/**
 * @param home a folder for the node's own files
 * @param blockTime seconds from block to block; without it each transaction makes one
 */
export async function startChain(id: number, home: string, blockTime?: number): Promise<Chain> {
  const [port] = (await freePorts(host, 1)) as [number]
  const rhythm = blockTime === undefined ? [] : ['--block-time', String(blockTime)]
  const args = ['--host', host, '--port', String(port), '--chain-id', String(id), '--silent', ...rhythm]
  const child = spawn(anvilPath(), args, {
    env: { ...process.env, HOME: home },
    stdio: ['ignore', 'ignore', 'ignore'],
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const url = `http://${host}:${port}`
  await until(`chain ${id} answers`, () => answers(url, child))
  // The root in anvil's genesis block is not that of its state: proofs hold from the first block on.
  await call(url, 'evm_mine', [])
  return {
    id,
    url,
    pid: child.pid as number,
    signal: (name) => void child.kill(name),
    async stop() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

async function answers(url: string, child: ChildProcess): Promise<boolean> {
  if (child.exitCode !== null) throw new Error('anvil ended at once')
  try {
    await call(url, 'eth_chainId', [])
    return true
  } catch {
    // Not listening yet.
    return false
  }
}

/** Asks a JSON-RPC server over plain HTTP; the whole response object. */
export async function call(url: string, method: string, params: readonly unknown[]): Promise<unknown> {
  return post(url, { jsonrpc: '2.0', id: 1, method, params })
}

export async function post(url: string, body: unknown): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return response.json()
}

function anvilPath(): string {
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch
  const platform = process.platform === 'win32' ? 'win32' : process.platform
  const name = process.platform === 'win32' ? 'anvil.exe' : 'anvil'
  const path = join(distFolder(), '..', 'node_modules', '@foundry-rs', `anvil-${platform}-${architecture}`, 'bin', name)
  if (!existsSync(path))
    throw new Error(`there is no anvil for ${process.platform} ${process.arch}: use --upstream URL`)
  return path
}
