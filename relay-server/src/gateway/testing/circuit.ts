/**
 * The gateway's services on one circuit, and the client's end of its streams. A message moves only when it is delivered,
 * so a test decides every order of events.
 */
import { type Channel, collect, layerCapacity, type Stream, StreamMux } from '@nightjar/shared/circuit'
import type { DhKeyPair } from '@nightjar/shared/crypto'
import { EnvelopeSession } from '@nightjar/shared/envelope'
import { asNightjarError, type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { purpose, type Responder, type ResponderSecrets, startHandshake } from '@nightjar/shared/handshake'
import { FakeClock, pattern, turn } from '@nightjar/shared/testing'
import { nativeCrypto as crypto } from '@nightjar/shared-node/crypto'
import type { Refusal } from '../../limits/refusal.ts'
import { AnswerMemory } from '../answerMemory.ts'
import type { Gateway } from '../gateway.ts'
import { serveGateway } from '../session.ts'

const nothing = new Uint8Array(0)

/** A gateway's envelope key, and what clients know of it. */
export interface TestKeys {
  readonly keyPair: DhKeyPair
  readonly responder: Responder
}

export async function makeKeys(): Promise<TestKeys> {
  const keyPair = await crypto.dh.generate()
  return { keyPair, responder: { identity: pattern(32), key: keyPair.publicKey, keyId: pattern(8) } }
}

export interface TestCircuitOptions {
  readonly findKey?: ResponderSecrets['findKey']
  readonly memory?: AnswerMemory
}

export class TestCircuit {
  readonly clock = new FakeClock()
  /** Of the gateway's process: more than one circuit may fill. */
  readonly memory: AnswerMemory
  readonly refused: Refusal[] = []
  readonly client: StreamMux
  readonly server: StreamMux
  /** Whether the link towards the client takes cells; `server.pump()` tells of a change. */
  writable = true
  /** Messages that the gateway has sent. */
  sentByGateway = 0
  /** The keys that the gateway sealed records with, as it holds them; one for each record. */
  readonly sealedWith: Uint8Array[] = []
  readonly #responder: Responder
  readonly #queue: (() => void)[] = []
  readonly #endedListeners: (() => void)[] = []

  constructor(
    gateway: Gateway,
    keys: TestKeys,
    { findKey = envelopeKeyOf(keys), memory = new AnswerMemory(2 ** 30) }: TestCircuitOptions = {},
  ) {
    this.memory = memory
    this.#responder = keys.responder
    const accept = serveGateway({
      crypto: {
        ...crypto,
        aead: {
          ...crypto.aead,
          seal: (key, ...rest) => {
            this.sealedWith.push(key)
            crypto.aead.seal(key, ...rest)
          },
        },
      },
      clock: this.clock,
      memory: this.memory,
      onRefused: (refusal) => void this.refused.push(refusal),
      gateway,
      secrets: () => ({
        identity: keys.responder.identity,
        findKey,
        document: { version: 1, hash: new Uint8Array(32) },
      }),
      onEnded: (listener) => void this.#endedListeners.push(listener),
    })
    this.client = new StreamMux(
      this.#channel(
        () => this.server,
        () => true,
        () => {},
      ),
    )
    this.server = new StreamMux(
      this.#channel(
        () => this.client,
        () => this.writable,
        () => {
          this.sentByGateway += 1
        },
      ),
      accept,
    )
  }

  /** As the relay does when the circuit ends: its streams first, then its services. */
  end(): void {
    this.server.closeAll('link-lost')
    for (const listener of this.#endedListeners) listener()
  }

  /** Delivers until nothing moves any more. */
  async settle(): Promise<void> {
    do {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) next()
      await turn()
    } while (this.#queue.length > 0)
  }

  /** Everything that comes back on a stream of `service`, or the code it ends with. */
  ask(service: string, data: Uint8Array, end = true): { stream: Stream; answer: Promise<Uint8Array> } {
    let stream: Stream | undefined
    const answer = new Promise<Uint8Array>((resolve, reject) => {
      const onFailure = (code: ErrorCode) => reject(new NightjarError(code))
      const handler = collect({ stream: () => stream as Stream, maxBytes: 64 * 2 ** 20, onMessage: resolve, onFailure })
      stream = this.client.open(service, nothing, handler, { data, end })
    })
    // Looked at later, if at all.
    answer.catch(() => undefined)
    return { stream: stream as unknown as Stream, answer }
  }

  /** The answer, or the code, or that neither has come once everything has settled. */
  async outcomeOf(answer: Promise<Uint8Array>): Promise<Uint8Array | ErrorCode | 'open'> {
    await this.settle()
    const code = answer.catch((error: unknown) => asNightjarError(error).code)
    return Promise.race([code, turn().then(() => 'open' as const)])
  }

  /** The client's session, agreed on with the gateway. */
  async greet(): Promise<EnvelopeSession> {
    const handshake = await startHandshake(crypto, {
      purpose: purpose.envelope,
      depth: 0,
      responder: this.#responder,
    })
    const { answer } = this.ask('envelope', handshake.hello)
    await this.settle()
    const { keys } = await handshake.finish(await answer)
    return new EnvelopeSession(crypto, keys, 'client')
  }

  #channel(other: () => StreamMux, isWritable: () => boolean, onSend: () => void): Channel {
    return {
      capacity: layerCapacity(3),
      get writable() {
        return isWritable()
      },
      send: (type, stream, data) => {
        onSend()
        const message = { type, stream, data: Uint8Array.from(data) }
        this.#queue.push(() => other().receive(message))
      },
    }
  }
}

function envelopeKeyOf({ keyPair, responder }: TestKeys): ResponderSecrets['findKey'] {
  return (keyId, use) => (use === purpose.envelope && keyId.join() === responder.keyId.join() ? keyPair : undefined)
}
