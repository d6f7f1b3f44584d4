/**
 * Many clients with a link each, from an address of their own on loopback, as relays count connections per address. Here
 * they only come to stand; what they do then is for bursts.ts, or nothing.
 */
import type { Crypto } from '@nightjar/shared/crypto'
import type { Relay } from '@nightjar/shared/directory'
import type { WebSocket } from 'ws'
import { openSocket, type RawCircuit, RawLink } from './rawLink.ts'

/** Clients that connect at the same time. */
const concurrency = 16

export interface RelayClient {
  readonly socket: WebSocket
  readonly link: RawLink
  readonly circuit: RawCircuit
}

/** Clients with a circuit to `relay`. */
export function openClients(crypto: Crypto, relay: Relay, count: number): Promise<RelayClient[]> {
  return openMany(count, async (index) => {
    const socket = await openSocket(relay.addresses[0]?.url as string, addressOf(index))
    const link = new RawLink(crypto, socket)
    return { socket, link, circuit: await link.create(relay) }
  })
}

/** Clients of a bare server. */
export function openSockets(url: string, count: number): Promise<WebSocket[]> {
  return openMany(count, (index) => openSocket(url, addressOf(index)))
}

function addressOf(index: number): string {
  return `127.200.${index >> 8}.${index & 0xff}`
}

async function openMany<T>(count: number, open: (index: number) => Promise<T>): Promise<T[]> {
  const opened: T[] = []
  let next = 0
  const worker = async () => {
    for (let index = next++; index < count; index = next++) opened[index] = await open(index)
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  return opened
}
