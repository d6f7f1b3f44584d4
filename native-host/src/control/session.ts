/**
 * What one connection to the daemon may do: ask how it is, have a call sealed (the command line), or seal by itself on
 * branches of its own (the extension). Branch numbers are the connection's own; its branches end with it.
 */
import {
  type BridgeEventMessage,
  type BridgeRequest,
  type BridgeResultMessages,
  bridgeVersion,
  type Status,
} from '@nightjar/shared/bridge'
import { base64 } from '@nightjar/shared/bytes'
import { isSizeClass, recordSize } from '@nightjar/shared/envelope'
import { type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import type { Json, Outcome } from '@nightjar/shared/rpc'
import { second } from '@nightjar/shared/runtime'
import type { DaemonAccounts } from '../accounts.ts'
import type { Client } from '../client/client.ts'
import type { GatewayBranch } from '../client/gatewayBranch.ts'
import type { Session } from './server.ts'

export interface SessionContext {
  readonly client: Client
  /** For what the daemon seals itself. */
  readonly accounts: Pick<DaemonAccounts, 'request'>
  readonly version: string
  /** What the endpoint proves itself with. */
  readonly proofKey: Uint8Array
  status(): Status
  /** The network document as it was read. @throws NightjarError why there is none */
  document(): string
}

interface Carried {
  readonly branch: GatewayBranch
  /** What is waited for on it, by the ids of the requests. */
  readonly waiting: Map<number, Promise<Uint8Array>>
}

export class BridgeSession implements Session {
  readonly #context: SessionContext
  readonly #send: (event: BridgeEventMessage) => void
  readonly #branches = new Map<number, Carried>()
  /** What ends each of the requests that follow something. */
  readonly #followed = new Map<number, () => void>()
  #lastBranch = 0
  #opening = 0
  #isClosed = false
  /** Whether it said hello, and is to be told what changes. */
  isExtension = false

  constructor(context: SessionContext, send: (event: BridgeEventMessage) => void) {
    this.#context = context
    this.#send = send
  }

  tell(event: BridgeEventMessage): void {
    if (this.isExtension) this.#send(event)
  }

  async handle(request: BridgeRequest): Promise<Outcome | undefined> {
    switch (request.type) {
      case 'hello':
        return this.#hello()
      case 'status':
        return result<'status'>(this.#context.status())
      case 'document':
        return result<'document'>({ text: this.#context.document() })
      case 'gateways':
        return this.#gateways(request)
      case 'open':
        return this.#open(request)
      case 'keep':
        this.#branch(request.branch).branch.keep(request.seconds * second)
        return result<'keep'>(null)
      case 'exchange':
        return this.#exchange(request)
      case 'follow':
        return this.#follow(request)
      case 'cancel':
        this.#followed.get(request.request)?.()
        return result<'cancel'>(null)
      case 'close':
        return this.#closeBranch(request)
      case 'rpc': {
        const { chain, method, params } = request
        const call = { method, params: params as readonly Json[] }
        return this.#context.accounts.request({ group: 'command line', chain, call })
      }
    }
  }

  close(): void {
    this.#isClosed = true
    // What is followed is lost with its branch and not ended: its watches linger (docs/protocol.md).
    for (const { branch } of this.#branches.values()) branch.retire()
  }

  #hello(): Outcome {
    this.isExtension = true
    const { version, proofKey } = this.#context
    return result<'hello'>({ bridge: bridgeVersion, version, proofKey: base64(proofKey) })
  }

  #gateways({ group, chain }: Extract<BridgeRequest, { type: 'gateways' }>): Outcome {
    const found = this.#context.client.gateways(groupOf(group), chain)
    return result<'gateways'>(found.map(({ relay, avoided }) => ({ relay: relay.id, avoided })))
  }

  async #open({ group, gateway, hello, hidesMiddle }: Extract<BridgeRequest, { type: 'open' }>): Promise<Outcome> {
    if (this.#branches.size + this.#opening >= limits.branchesPerBridge) {
      throw new NightjarError('limit-reached', { detail: 'branches of one browser' })
    }
    this.#opening += 1
    const order = { group: groupOf(group), gateway, hidesMiddle }
    const { branch, reply } = await this.#context.client.openBranch(order, hello).finally(() => {
      this.#opening -= 1
    })
    if (this.#isClosed || branch.error !== undefined) {
      branch.retire()
      throw branch.error ?? new NightjarError('cancelled')
    }
    this.#lastBranch += 1
    const number = this.#lastBranch
    const carried: Carried = { branch, waiting: new Map() }
    this.#branches.set(number, carried)
    branch.onLeaving(() => {
      // Over for what comes, so that the browser opens another; what is under way is answered yet.
      this.#send({ event: 'branch-lost', branch: number, code: 'branch-retired', requests: [] })
      branch.retire()
    })
    branch.onClosed(({ code }) => {
      this.#branches.delete(number)
      void this.#tellLost(number, code, carried)
    })
    return result<'open'>({ branch: number, reply: base64(reply) })
  }

  /** A retired branch closes with its last answer, which is then still on its way to `#exchange`: that one is not lost. */
  async #tellLost(branch: number, code: ErrorCode, { waiting }: Carried): Promise<void> {
    const outcomes = [...waiting].map(([id, answer]) =>
      answer.then(
        () => [],
        () => [id],
      ),
    )
    this.#send({ event: 'branch-lost', branch, code, requests: (await Promise.all(outcomes)).flat() })
  }

  async #exchange({ id, branch: number, record }: Extract<BridgeRequest, { type: 'exchange' }>) {
    const { branch, waiting } = this.#branch(number)
    requireRecord(record)
    const answer = this.#context.client.exchange(branch, record)
    waiting.set(id, answer)
    try {
      return result<'exchange'>({ record: base64(await answer) })
    } catch (error) {
      // Told with all the others that were lost with the branch.
      if (branch.error !== undefined) return undefined
      throw error
    } finally {
      waiting.delete(id)
    }
  }

  #follow({ id, branch: number, record, cells }: Extract<BridgeRequest, { type: 'follow' }>) {
    const { branch } = this.#branch(number)
    requireRecord(record)
    if (!isSizeClass(cells, limits.paddedAnswerCells)) throw new NightjarError('bad-request', { detail: 'cells' })
    return new Promise<Outcome>((resolve, reject) => {
      const onEnd = (code: ErrorCode) => {
        this.#followed.delete(id)
        if (code === 'done') resolve(result<'follow'>(null))
        else reject(new NightjarError(code))
      }
      const following = branch.follow(record, cells, {
        onRecord: (each) => this.#send({ event: 'record', request: id, record: base64(each) }),
        onEnd,
      })
      this.#followed.set(id, () => {
        following.stop()
        onEnd('done')
      })
    })
  }

  #closeBranch({ branch: number, failed }: Extract<BridgeRequest, { type: 'close' }>): Outcome {
    this.#branches.get(number)?.branch.retire(failed)
    // One that is kept stands for long yet, and is none of the browser's any more.
    this.#branches.delete(number)
    return result<'close'>(null)
  }

  #branch(number: number): Carried {
    const carried = this.#branches.get(number)
    // Closed while the request was on its way here.
    if (carried === undefined) throw new NightjarError('branch-retired')
    return carried
  }
}

/** Labels of extensions cannot be mistaken for the daemon's own groups. */
function groupOf(label: string): string {
  return `extension ${label}`
}

function result<T extends keyof BridgeResultMessages>(value: BridgeResultMessages[T]): Outcome {
  return { result: value as Json }
}

/** A record of no size class would show the gateway, and everybody on the way, who sent it. */
function requireRecord(record: Uint8Array): void {
  if (isSizeClass(record.length / recordSize(1), limits.questionCells)) return
  throw new NightjarError('bad-request', { detail: 'record of no size class' })
}
