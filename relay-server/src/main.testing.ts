/**
 * The composition root of the relay that tests run: an exit whose Internet is a file, so that names lead to addresses that
 * look public, and those to ports of loopback. Never packaged; everything else is the real relay.
 *
 *     NIGHTJAR_TESTING_INTERNET=FILE, read anew each time
 *     { "names": { "mainnet.infura.io": ["8.8.4.4"] }, "addresses": { "8.8.4.4": "127.0.0.1:4443" } }
 *
 * A name that is not there does not exist, an address that is not there takes no connection.
 *
 *     NIGHTJAR_TESTING_VIEW=FILE, which grows by a line for each question that a gateway opens
 *     { "circuit": "4711 3", "chain": 1, "method": "eth_getBalance", "params": [ … ] }
 */
import { appendFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Question } from '@nightjar/shared/rpc'
import { type Connect, connectBySystem } from './exit/connect.ts'
import type { Resolve } from './exit/resolve.ts'
import type { Gateway } from './gateway/gateway.ts'
import { runProgram } from './run.ts'

interface Internet {
  readonly names: Readonly<Record<string, readonly string[]>>
  /** Where what connects to such an address, on any port, really goes: `host:port`. */
  readonly addresses: Readonly<Record<string, string>>
}

async function readInternet(): Promise<Internet> {
  const file = process.env.NIGHTJAR_TESTING_INTERNET
  if (file === undefined) return { names: {}, addresses: {} }
  return JSON.parse(await readFile(file, 'utf8')) as Internet
}

const resolve: Resolve = async (host) => {
  const { names } = await readInternet()
  const addresses = names[host]
  if (addresses === undefined) throw new Error('no such name')
  return { addresses, lifetime: 0 }
}

function connectFrom(localAddress: string | undefined): Connect {
  const connect = connectBySystem(localAddress)
  return async (address, _port, signal) => {
    const { addresses } = await readInternet()
    const [host, port] = addresses[address]?.split(':') ?? []
    if (host === undefined) throw new Error('no such address')
    const { socket } = await connect(host, Number(port), signal)
    return { socket, remoteAddress: address }
  }
}

let circuits = 0

/** What this gateway learns on one circuit, which is one branch and one envelope session. */
function observe(gateway: Gateway): Gateway {
  const file = process.env.NIGHTJAR_TESTING_VIEW
  if (file === undefined) return gateway
  circuits += 1
  const circuit = `${process.pid} ${circuits}`
  const note = ({ chain, method, params }: Question) => {
    appendFileSync(file, `${JSON.stringify({ circuit, chain, method, params })}\n`)
  }
  return {
    ...gateway,
    answer(question, signal) {
      note(question)
      return gateway.answer(question, signal)
    },
    follow(question) {
      note(question)
      return gateway.follow(question)
    },
  }
}

runProgram({ resolve, connectFrom, observe })
