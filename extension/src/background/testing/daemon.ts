/**
 * An honest native program and daemon with gateways behind them, in memory: it speaks the bridge's protocol, and its
 * gateways really answer handshakes and open what is sealed for them. A test makes it hostile by replacing what it says
 * (`on`), or what its gateways do (`answer`, `handshake`, `mangle`).
 */
import {
  type BridgeEventMessage,
  type BridgeRequest,
  bridgeVersion,
  endpointProof,
  PartsJoiner,
  parseBridgeRequest,
  type Status,
} from '@nightjar/shared/bridge'
import { base64, fromHex, hex } from '@nightjar/shared/bytes'
import { nobleCrypto as crypto } from '@nightjar/shared/crypto/noble'
import { counterOf, EnvelopeSession } from '@nightjar/shared/envelope'
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import { answerHandshake } from '@nightjar/shared/handshake'
import { decodeQuestion, encodeAnswer, type Json, type Outcome, type Question, toRpcError } from '@nightjar/shared/rpc'
import { pattern } from '@nightjar/shared/testing'
import { endpointUrl, idleStatus } from './fixtures.ts'
import type { TestNetwork, TestRelay } from './network.ts'
import { type ScriptedPort, ScriptedPorts } from './ports.ts'

export interface Asked extends Question {
  /** Name of the gateway that opened it. */
  readonly gateway: string
  /** Label that the branch was opened with. */
  readonly group: string
}

interface Branch {
  readonly gateway: TestRelay
  readonly group: string
  readonly session: EnvelopeSession
  readonly waiting: Set<number>
}

interface Followed {
  readonly branch: Branch
  readonly question: Question
  /** Counter of the question's record. */
  readonly asked: number
}

type Type = BridgeRequest['type']
type Of<T extends Type> = Extract<BridgeRequest, { type: T }>
/** What a request is answered with instead; `undefined` for what is usual, `never` for nothing at all. */
type Override = { readonly result: unknown } | { readonly error: unknown } | undefined | 'never'

export class ScriptedDaemon {
  readonly ports = new ScriptedPorts()
  /** All that ever was posted to it, parts joined to text: what a host could look at. */
  readonly texts: string[] = []
  readonly requests: BridgeRequest[] = []
  /** Questions that its gateways opened. */
  readonly asked: Asked[] = []
  readonly proofKey = pattern(32, 7)
  readonly branches = new Map<number, Branch>()
  readonly followed = new Map<number, Followed>()
  /** The text of `runtime.lastError` that connecting ends with; undefined where the program is there. */
  absent: string | undefined
  bridge = bridgeVersion
  document: string
  status: Status = idleStatus
  /** Names of the gateways that it ranks first, for each chain. */
  ranking: (chain: number) => readonly string[]
  avoided: readonly string[] = []

  /** What a gateway answers; undefined where it never does. */
  answer: (asked: Asked) => Outcome | undefined = ({ method, chain }) =>
    method === 'eth_chainId' ? { result: `0x${chain.toString(16)}` } : { result: `${method} of ${chain}` }
  /** The gateway that answers the handshake, where it is another one than was asked for. */
  handshake: (gateway: TestRelay) => TestRelay = (gateway) => gateway
  /** What becomes of a sealed answer on its way back. */
  mangle: (record: Uint8Array, branch: number) => Uint8Array = (record) => record

  /** What answers on the endpoint's port. */
  post = (url: string, body: string): Promise<string | undefined> => this.prove(url, body)

  readonly #network: TestNetwork
  readonly #overrides = new Map<Type, (request: BridgeRequest) => Override>()
  #lastBranch = 0

  constructor(network: TestNetwork, document: string) {
    this.#network = network
    this.document = document
    this.ranking = (chain) => gatewaysOf(network, chain)
    this.ports.onConnect = (port) => this.#accept(port)
  }

  readonly connectNative = this.ports.connect

  /** Answers requests of `type` with what `answer` says from now on. */
  on<T extends Type>(type: T, answer: (request: Of<T>) => Override): void {
    this.#overrides.set(type, answer as (request: BridgeRequest) => Override)
  }

  off(type: Type): void {
    this.#overrides.delete(type)
  }

  /** The program ends, with the daemon or without. */
  exit(lastError = 'Native host has exited.'): void {
    this.#forget()
    this.ports.last.close(lastError)
  }

  /** The browser stopped whoever was at the other end. */
  vanish(): void {
    this.#forget()
    this.ports.all.at(-1)?.vanish()
  }

  tell(event: BridgeEventMessage): void {
    this.ports.last.receive(event)
  }

  setStatus(changes: Partial<Status>): void {
    this.status = { ...this.status, ...changes }
    this.tell({ event: 'status', status: this.status })
  }

  loseBranch(branch: number, code = 'link-lost'): void {
    const requests = [...(this.branches.get(branch)?.waiting ?? [])]
    this.branches.delete(branch)
    this.tell({ event: 'branch-lost', branch, code, requests })
    for (const [id, { branch: lost }] of this.followed) {
      if ([...this.branches.values()].includes(lost)) continue
      this.followed.delete(id)
      this.ports.last.receive({ id, error: toRpcError(new NightjarError('link-lost')) })
    }
  }

  /** A new head of `chain`, to all that follow it. */
  push(chain: number, header: Json): void {
    for (const [id, { branch, question, asked }] of this.followed) {
      if (question.chain !== chain || question.method !== 'eth_subscribe') continue
      const record = branch.session.seal(encodeAnswer({ result: header }), question.cells, asked)
      this.tell({ event: 'record', request: id, record: base64(record) })
    }
  }

  /** The endpoint's answer to a challenge, as the daemon's HTTP server gives it. */
  readonly prove = async (url: string, body: string): Promise<string | undefined> => {
    const { port, pathname } = new URL(url)
    if (pathname !== `${new URL(endpointUrl).pathname.replace(/\/\d+$/, '')}/proof`) return undefined
    return hex(endpointProof(crypto.hash.hmac, this.proofKey, Number(port), fromHex(body)))
  }

  #accept(port: ScriptedPort): void {
    const { absent } = this
    // Branches end with their connection.
    this.#forget()
    if (absent !== undefined) return queueMicrotask(() => port.close(absent))
    const joiner = new PartsJoiner((message) => {
      this.texts.push(textOf(message))
      const request = parseBridgeRequest(message)
      this.requests.push(request)
      void this.#respond(port, request)
    })
    port.onPosted = (message) => joiner.take(message)
  }

  async #respond(port: ScriptedPort, request: BridgeRequest): Promise<void> {
    const { id } = request
    const override = this.#overrides.get(request.type)?.(request)
    if (override === 'never') return
    if (override !== undefined) return port.receive({ id, ...override })
    try {
      const result = await this.#handle(request)
      if (result !== undefined) port.receive({ id, result })
    } catch (error) {
      port.receive({ id, error: toRpcError(asNightjarError(error)) })
    }
  }

  async #handle(request: BridgeRequest): Promise<unknown> {
    switch (request.type) {
      case 'hello':
        return { bridge: this.bridge, version: '0.1.0', proofKey: base64(this.proofKey) }
      case 'status':
        return this.status
      case 'document':
        return { text: this.document }
      case 'gateways':
        return this.#gateways(request.chain)
      case 'open':
        return this.#open(request)
      case 'keep':
        this.#branch(request.branch)
        return null
      case 'exchange':
        return this.#exchange(request)
      case 'follow':
        return this.#follow(request)
      case 'cancel':
        this.followed.delete(request.request)
        return null
      case 'close':
        this.loseBranch(request.branch, 'branch-retired')
        return null
      case 'rpc':
        throw new NightjarError('bad-request')
    }
  }

  #forget(): void {
    this.branches.clear()
    this.followed.clear()
    this.#lastBranch = 0
  }

  #gateways(chain: number): unknown {
    const names = this.ranking(chain)
    if (names.length === 0) throw new NightjarError('chain-not-served', { facts: { chain } })
    const sorted = [...names].sort((a, b) => Number(this.avoided.includes(a)) - Number(this.avoided.includes(b)))
    return sorted.map((name) => ({ relay: this.#network.relay(name).id, avoided: this.avoided.includes(name) }))
  }

  async #open({ group, gateway: id, hello }: Of<'open'>): Promise<unknown> {
    const gateway = this.#network.relays.find((relay) => relay.id === id)
    if (gateway === undefined) throw new NightjarError('unknown-relay')
    const answering = this.handshake(gateway)
    const { reply, keys } = await answerHandshake(crypto, hello, {
      identity: answering.identity,
      findKey: () => answering.envelopeKey,
      document: { version: 1, hash: pattern(32) },
    })
    this.#lastBranch += 1
    const session = new EnvelopeSession(crypto, keys, 'gateway')
    this.branches.set(this.#lastBranch, { gateway, group, session, waiting: new Set() })
    return { branch: this.#lastBranch, reply: base64(reply) }
  }

  async #exchange({ id, branch: number, record }: Of<'exchange'>): Promise<unknown> {
    const branch = this.#branch(number)
    const question = decodeQuestion(branch.session.open(Uint8Array.from(record)))
    const asked = { ...question, gateway: branch.gateway.name, group: branch.group }
    this.asked.push(asked)
    branch.waiting.add(id)
    const outcome = this.answer(asked)
    if (outcome === undefined) return undefined
    branch.waiting.delete(id)
    return {
      record: base64(
        this.mangle(branch.session.seal(encodeAnswer(outcome), question.cells, counterOf(record)), number),
      ),
    }
  }

  #follow({ id, branch: number, record }: Of<'follow'>): undefined {
    const branch = this.#branch(number)
    const question = decodeQuestion(branch.session.open(Uint8Array.from(record)))
    this.followed.set(id, { branch, question, asked: counterOf(record) })
  }

  #branch(number: number): Branch {
    const branch = this.branches.get(number)
    if (branch === undefined) throw new NightjarError('branch-retired')
    return branch
  }
}

function gatewaysOf({ relays }: TestNetwork, chain: number): string[] {
  return relays.filter(({ role, chains }) => role === 'gateway' && chains.includes(chain)).map(({ name }) => name)
}

/** All that can be read in a message: its own text, and what its base64 holds. */
function textOf(message: unknown): string {
  const text = JSON.stringify(message)
  const hidden = [...text.matchAll(/[A-Za-z0-9+/]{16,}={0,2}/g)].map(([found]) => Buffer.from(found, 'base64'))
  return `${text} ${hidden.map((bytes) => bytes.toString('latin1')).join(' ')}`
}
