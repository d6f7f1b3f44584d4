/**
 * Who dials the links that come in: relays by their proof (linkProof.ts) and the network document, all others are clients. A
 * proof that is not accepted costs its relay nearly all that it brings, and nothing is answered to it: so operators are told.
 */
import { hex } from '@nightjar/shared/bytes'
import type { Crypto } from '@nightjar/shared/crypto'
import type { Relay } from '@nightjar/shared/directory'
import { type Clock, minute } from '@nightjar/shared/runtime'
import type { Log } from '@nightjar/shared-node/log'
import type { OnRefused } from '../limits/refusal.ts'
import type { CircuitHost } from './host.ts'
import { type LinkProof, readProof } from './linkProof.ts'

const notListed = 'a relay proves an identity that the network document does not list'

export interface LinkPeersOptions {
  readonly crypto: Pick<Crypto, 'sign'>
  readonly clock: Clock
  readonly log: Pick<Log, 'warn'>
  readonly onRefused: OnRefused
  /** The identity of this relay. */
  identity(): Uint8Array
  /** The relays of the network document by hexadecimal identity, where there is one. */
  relays(): ReadonlyMap<string, Relay> | undefined
}

export interface LinkPeers extends Pick<CircuitHost, 'findRelay' | 'isRelay'> {
  /** Who made that proof for this relay, now; undefined where it is none. */
  identify(proof: string): Promise<Uint8Array | undefined>
}

export function createLinkPeers(options: LinkPeersOptions): LinkPeers {
  const { crypto, clock, log, onRefused } = options
  /** In the clock's elapsed milliseconds. */
  let quietUntil = Number.NEGATIVE_INFINITY

  const findRelay = (identity: Uint8Array) => options.relays()?.get(hex(identity))
  const isRelay = (identity: Uint8Array) => findRelay(identity) !== undefined

  async function identify(text: string): Promise<Uint8Array | undefined> {
    const proof = await readProof(text, { crypto, dialled: options.identity(), now: clock.now() })
    if (proof?.isOfNow !== true || !isRelay(proof.identity)) {
      onRefused('link-proof')
      if (proof !== undefined) warn(proof)
    }
    // One that is not listed may be soon.
    return proof?.isOfNow === true ? proof.identity : undefined
  }

  /** Anybody can make identities: at most one line a minute, and none where there is no document, which has its own. */
  function warn({ identity, ahead }: LinkProof): void {
    if (options.relays() === undefined || clock.elapsed() < quietUntil) return
    quietUntil = clock.elapsed() + minute
    const minutes = Math.round(Math.abs(ahead) / minute)
    const ofClock = `a relay proves itself with a clock that is ${minutes} minutes off`
    log.warn(isRelay(identity) ? ofClock : notListed, { identity: hex(identity) })
  }

  return { findRelay, isRelay, identify }
}
