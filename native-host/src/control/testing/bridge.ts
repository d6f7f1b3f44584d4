/**
 * An extension at the other end of a session, without browser and socket: every message goes through JSON and is parsed
 * as what comes over native messaging is.
 */
import {
  type BridgeEvent,
  type BridgeEventMessage,
  type BridgeMessage,
  type BridgeResults,
  parseBridgeRequest,
  parseFromDaemon,
  parseResult,
} from '@nightjar/shared/bridge'
import { base64 } from '@nightjar/shared/bytes'
import { asNightjarError, type ErrorCode, isErrorCode, NightjarError } from '@nightjar/shared/errors'
import type { Carrier, FollowHandler, Following, Greet, SealedBranch } from '@nightjar/shared/requests'
import { nightjarCodeOf, type Outcome, type RpcError, toRpcError } from '@nightjar/shared/rpc'
import { second } from '@nightjar/shared/runtime'
import { BridgeSession, type SessionContext } from '../session.ts'

type Asked = keyof BridgeResults
type Fields<T extends Asked> = Omit<Extract<BridgeMessage, { type: T }>, 'id' | 'type'>

export class TestBridge {
  readonly session: BridgeSession
  readonly events: BridgeEvent[] = []
  /** Ids of the requests that were answered, in that order. */
  readonly answered: number[] = []
  /** Everything that crossed the bridge, either way, as text. */
  readonly wire: string[] = []
  lastId = 0
  readonly #pending = new Map<number, { resolve(result: unknown): void; reject(error: NightjarError): void }>()
  readonly #carriers = new Map<number, TestCarrier>()
  readonly #followed = new Map<number, FollowHandler>()

  constructor(context: SessionContext) {
    this.session = new BridgeSession(context, (event) => this.#receive(event))
  }

  /** @throws NightjarError the session's, or what the branch was lost with */
  async ask<T extends Asked>(type: T, fields: Fields<T>): Promise<BridgeResults[T]> {
    return parseResult(type, await this.#say({ type, ...fields }))
  }

  /** As the command line does. */
  rpc(method: string, chain = 1): Promise<unknown> {
    return this.#say({ type: 'rpc', chain, method, params: [] })
  }

  /** For `openSealedBranch`: greets a gateway over this bridge. */
  greet(group: string, gateway: string): Greet {
    return async (hello) => {
      const { branch, reply } = await this.ask('open', { group, gateway, hello: base64(hello), hidesMiddle: false })
      const carrier = new TestCarrier(this, branch)
      this.#carriers.set(branch, carrier)
      return { reply, carrier }
    }
  }

  follow(fields: Fields<'follow'>, handler: FollowHandler): Following {
    const answer = this.ask('follow', fields)
    const id = this.lastId
    this.#followed.set(id, handler)
    const end = (code: ErrorCode) => {
      if (this.#followed.delete(id)) handler.onEnd(code)
    }
    answer.then(
      () => end('done'),
      (error: unknown) => end(asNightjarError(error).code),
    )
    return {
      stop: () => {
        this.#followed.delete(id)
        void this.ask('cancel', { request: id })
      },
    }
  }

  /** What a session that lies would send. */
  inject(event: BridgeEventMessage): void {
    this.#receive(event)
  }

  #say(fields: object): Promise<unknown> {
    this.lastId += 1
    const id = this.lastId
    const message = this.#cross({ id, ...fields })
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject })
      this.session.handle(parseBridgeRequest(message)).then(
        (outcome: Outcome | undefined) => outcome !== undefined && this.#receive({ id, ...outcome }),
        (error: unknown) => this.#receive({ id, error: toRpcError(asNightjarError(error)) }),
      )
    })
  }

  #receive(message: BridgeEventMessage | ({ readonly id: number } & Outcome)): void {
    const said = parseFromDaemon(this.#cross(message))
    if ('event' in said) return this.#onEvent(said)
    const { id } = said
    this.answered.push(id)
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    if ('error' in said) pending?.reject(new NightjarError(nightjarCodeOf(said.error as RpcError) ?? 'internal'))
    else pending?.resolve(said.result)
  }

  #onEvent(event: BridgeEvent): void {
    this.events.push(event)
    if (event.event === 'record') this.#followed.get(event.request)?.onRecord(event.record)
    if (event.event !== 'branch-lost') return
    const error = new NightjarError(isErrorCode(event.code) ? event.code : 'internal')
    for (const id of event.requests) this.#pending.get(id)?.reject(error)
    for (const id of event.requests) this.#pending.delete(id)
    this.#carriers.get(event.branch)?.lose(error)
  }

  #cross(message: object): unknown {
    const text = JSON.stringify(message)
    this.wire.push(text)
    return JSON.parse(text)
  }
}

/** A branch of the daemon's, as the extension holds it. */
class TestCarrier implements Carrier {
  readonly number: number
  error: NightjarError | undefined
  readonly #bridge: TestBridge
  readonly #listeners: ((error: NightjarError) => void)[] = []

  constructor(bridge: TestBridge, number: number) {
    this.#bridge = bridge
    this.number = number
  }

  onClosed(listener: (error: NightjarError) => void): void {
    if (this.error === undefined) this.#listeners.push(listener)
    else listener(this.error)
  }

  keep(duration: number): void {
    void this.#bridge.ask('keep', { branch: this.number, seconds: duration / second })
  }

  async exchange(record: Uint8Array): Promise<Uint8Array> {
    return (await this.#bridge.ask('exchange', { branch: this.number, record: base64(record) })).record
  }

  follow(record: Uint8Array, cells: number, handler: FollowHandler): Following {
    return this.#bridge.follow({ branch: this.number, record: base64(record), cells }, handler)
  }

  retire(failed = false): void {
    void this.#bridge.ask('close', { branch: this.number, failed })
  }

  lose(error: NightjarError): void {
    this.error = error
    for (const listener of this.#listeners.splice(0)) listener(error)
  }
}

/** The number by which the bridge knows a branch. */
export function numberOf({ carrier }: SealedBranch): number {
  if (!(carrier instanceof TestCarrier)) throw new Error('carried by something else')
  return carrier.number
}
