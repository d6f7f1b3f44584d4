/** A relay that has so much to do that it sets puzzles, and a client's time that passes over one. */
import { helloSize } from '@nightjar/shared/handshake'
import { turn } from '@nightjar/shared/testing'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { expect } from 'vitest'
import { HandshakeGate } from '../../limits/handshakes.ts'
import { limits } from '../../limits/limits.ts'
import type { MemoryNetwork } from './memoryNetwork.ts'

/** From now on `name` answers nobody without a solution, on links to come. */
export function load(network: MemoryNetwork, name: string): void {
  const onRefused = (refusal: (typeof network.refused)[number]) => void network.refused.push(refusal)
  const gate = new HandshakeGate({ crypto: nativeCrypto, clock: network.clock, perSecond: 1, onRefused })
  for (let count = 0; count < 10; count++) gate.countAnswered()
  expect(gate.price).toBe(limits.handshakesPerLinkAtOnce)
  network.gates.set(name, {
    link() {
      const link = gate.link()
      // All that it has: one.
      expect(link.admit(new Uint8Array(helloSize))).toHaveProperty('hello')
      return link
    },
  })
}

/** `promise`, with everything delivered, and the time passing that solving a puzzle takes. */
export async function solving<T>(network: MemoryNetwork, promise: Promise<T>): Promise<T> {
  let isOver = false
  const over = () => {
    isOver = true
  }
  promise.then(over, over)
  while (!isOver) {
    await network.settle()
    network.clock.advance(0)
    await turn()
  }
  return promise
}
