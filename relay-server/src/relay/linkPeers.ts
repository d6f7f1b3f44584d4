/**
 * Who dials the links that come in: relays by their proof (linkProof.ts) and the network document, all others are clients. That
 * costs a relay nearly all that it brings, and it is not answered: so operators are told. Of a relay whose clock is off there is no
 * link at all: it would be a client's for as long as it stands, however soon the clock is right.
 */
import { hex } from '@nightjar/shared/bytes'
import type { Crypto } from '@nightjar/shared/crypto'
import type { Relay } from '@nightjar/shared/directory'
import { type Clock, minute } from '@nightjar/shared/runtime'
import type { Log, LogFacts } from '@nightjar/shared-node/log'
import type { OnRefused } from '../limits/refusal.ts'
import type { CircuitHost } from './host.ts'
import { type LinkProof, readProof } from './linkProof.ts'

const notListed = 'a relay proves an identity that the network document does not list'
const refusedByClock = 'a relay refuses links of this one: their clocks are more than an hour apart'

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

/** What is written at most once a minute each, as it may be said of every link. */
type Line = 'not listed' | 'clock' | 'own clock'

export interface LinkPeers extends Pick<CircuitHost, 'findRelay' | 'isRelay'> {
  /** Who made that proof for this relay, now; undefined where it is none. The link of a relay whose clock is off is refused. */
  identify(proof: string): Promise<Uint8Array | 'clocks-differ' | undefined>
  /** A relay that this one dialled has refused its proof. */
  onClocksDiffer(): void
}

export function createLinkPeers(options: LinkPeersOptions): LinkPeers {
  const { crypto, clock, log, onRefused } = options
  /** In the clock's elapsed milliseconds. */
  const quietUntil = new Map<Line, number>()

  const findRelay = (identity: Uint8Array) => options.relays()?.get(hex(identity))
  const isRelay = (identity: Uint8Array) => findRelay(identity) !== undefined

  async function identify(text: string): Promise<Uint8Array | 'clocks-differ' | undefined> {
    const proof = await readProof(text, { crypto, dialled: options.identity(), now: clock.now() })
    const isListed = proof !== undefined && isRelay(proof.identity)
    if (proof?.isOfNow === true && isListed) return proof.identity
    onRefused('link-proof')
    if (proof === undefined) return undefined
    warnOf(proof, isListed)
    // One that is not listed may be soon.
    return proof.isOfNow ? proof.identity : 'clocks-differ'
  }

  /** Where there is no document, that has a line of its own. */
  function warnOf({ identity, ahead }: LinkProof, isListed: boolean): void {
    if (options.relays() === undefined) return
    const minutes = Math.round(Math.abs(ahead) / minute)
    const ofClock = `a relay proves itself with a clock that is ${minutes} minutes off`
    warn(isListed ? 'clock' : 'not listed', isListed ? ofClock : notListed, { identity: hex(identity) })
  }

  /** Anybody can make identities, and links: none of the lines keeps another one from being written. */
  function warn(line: Line, message: string, facts?: LogFacts): void {
    const now = clock.elapsed()
    if (now < (quietUntil.get(line) ?? Number.NEGATIVE_INFINITY)) return
    quietUntil.set(line, now + minute)
    log.warn(message, facts)
  }

  return { findRelay, isRelay, identify, onClocksDiffer: () => warn('own clock', refusedByClock) }
}
