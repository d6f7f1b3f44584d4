/**
 * The connection to the native program and through it to the daemon: hello and version check, requests with ids,
 * events, and reconnecting with a growing pause. The program is not trusted; what it says is parsed strictly, and
 * whatever cannot be read ends the connection.
 */
import {
  type BridgeEvent,
  type BridgeMessage,
  type BridgeResults,
  bridgeVersion,
  PartsJoiner,
  parseFromDaemon,
  parseResult,
  toParts,
} from '@nightjar/shared/bridge'
import { asNightjarError, errorTable, isErrorCode, NightjarError } from '@nightjar/shared/errors'
import { type Clock, millisecond, second, type Timer, within } from '@nightjar/shared/runtime'
import { errorOfAnswer, errorOfCode, hostError } from './errors.ts'

/** A native-messaging port, as far as it is used. */
export interface NativePort {
  postMessage(message: unknown): void
  disconnect(): void
  onMessage(listener: (message: unknown) => void): void
  /** @param listener gets the text of `runtime.lastError` */
  onDisconnect(listener: (lastError: string | undefined) => void): void
}

export interface HostInfo {
  readonly version: string
  readonly proofKey: Uint8Array
}

export interface HostLinkOptions {
  readonly clock: Clock
  readonly version: string
  connectNative(): NativePort
  onUp(): void
  onDown(error: NightjarError): void
  onEvent(event: BridgeEvent): void
}

type Asked = keyof BridgeResults
type Fields<T extends Asked> = Omit<Extract<BridgeMessage, { type: T }>, 'id' | 'type'>

interface Pending {
  settle(value: unknown): void
  reject(error: NightjarError): void
}

const firstPause = 250 * millisecond
const longestPause = 30 * second
/** The program may have to start the daemon first. */
const helloTimeout = 20 * second
/** Longer than the daemon's own: it fires where the program hangs. */
const answerTimeout = 45 * second
/** A connection that did not hold this long is a failure too: a program that greets and falls over is not started on and on. */
const steadyAfter = 10 * second

export class HostLink {
  readonly #options: HostLinkOptions
  readonly #pending = new Map<number, Pending>()
  readonly #waiting = new Set<() => void>()
  #port: NativePort | undefined
  #info: HostInfo | undefined
  #error: NightjarError | undefined
  #running = false
  #upSince: number | undefined
  #lastId = 0
  #failures = 0
  #retry: Timer | undefined

  constructor(options: HostLinkOptions) {
    this.#options = options
  }

  /** What the daemon said of itself, while it is connected. */
  get info(): HostInfo | undefined {
    return this.#info
  }

  /** Connects, and again whenever the connection is lost, until `stop`. */
  start(): void {
    if (this.#running) return
    this.#running = true
    this.#connect()
  }

  stop(): void {
    this.#running = false
    this.#retry?.cancel()
    this.#retry = undefined
    this.#failures = 0
    const port = this.#port
    this.#drop(new NightjarError('turned-off'))
    port?.disconnect()
  }

  /** Tries at once instead of at the end of the pause. */
  hurry(): void {
    if (this.#retry === undefined) return
    this.#retry.cancel()
    this.#retry = undefined
    this.#connect()
  }

  /**
   * Resolves once the daemon is connected. With `patience` it waits through failures for that long, without it until
   * the first one. @throws NightjarError why it is not connected
   */
  async whenUp(patience?: number): Promise<HostInfo> {
    const { clock } = this.#options
    const deadline = clock.now() + (patience ?? 0)
    while (this.#info === undefined) {
      if (!this.#running) throw new NightjarError('turned-off')
      const left = patience === undefined ? undefined : deadline - clock.now()
      const isOver = left === undefined ? this.#error !== undefined : left <= 0
      if (isOver) throw this.#error ?? new NightjarError('timed-out', { detail: 'native program' })
      await this.#change(left)
    }
    return this.#info
  }

  /** @throws NightjarError the daemon's, or why there was no answer */
  async ask<T extends Asked>(type: T, fields: Fields<T>): Promise<BridgeResults[T]> {
    const { answer, id } = this.send(type, fields)
    const timedOut = () => new NightjarError('timed-out', { detail: 'native program' })
    try {
      return await within(this.#options.clock, answerTimeout, answer, timedOut)
    } finally {
      this.#pending.delete(id)
    }
  }

  /**
   * As `ask`, with the id by which events refer to it, and without a limit of time. Before both sides have said which
   * version they are, nothing but `hello` goes out.
   */
  send<T extends Asked>(type: T, fields: Fields<T>): { id: number; answer: Promise<BridgeResults[T]> } {
    const id = ++this.#lastId
    const answer = new Promise<BridgeResults[T]>((resolve, reject) => {
      if (this.#port === undefined) return reject(this.#error ?? new NightjarError('turned-off'))
      if (this.#info === undefined && type !== 'hello') return reject(new NightjarError('host-exited'))
      const settle = (value: unknown) => resolve(parseResult(type, value))
      this.#pending.set(id, { settle, reject })
      for (const part of toParts({ id, type, ...fields })) this.#port.postMessage(part)
    })
    return { id, answer }
  }

  #connect(): void {
    const port = this.#options.connectNative()
    this.#error = undefined
    let failure: NightjarError | undefined
    const joiner = new PartsJoiner((message) => {
      const said = parseFromDaemon(message)
      if ('event' in said && said.event === 'failed') failure = startFailure(said)
      else if ('event' in said) this.#onEvent(said)
      else this.#onResponse(said)
    })
    this.#port = port
    port.onMessage((message) => {
      if (this.#port !== port) return
      try {
        joiner.take(message)
      } catch (cause) {
        port.disconnect()
        this.#lost(new NightjarError('host-garbled', { cause }))
      }
    })
    port.onDisconnect((lastError) => {
      if (this.#port === port) this.#lost(failure ?? hostError(lastError))
    })
    void this.#greet(port)
  }

  async #greet(port: NativePort): Promise<void> {
    try {
      const { version } = this.#options
      const { answer } = this.send('hello', { bridge: bridgeVersion, version })
      const timedOut = () => new NightjarError('timed-out', { detail: 'native program' })
      const hello = await within(this.#options.clock, helloTimeout, answer, timedOut)
      if (hello.bridge !== bridgeVersion) {
        throw new NightjarError(hello.bridge < bridgeVersion ? 'host-outdated' : 'extension-outdated')
      }
      if (this.#port !== port) return
      this.#info = hello
      this.#error = undefined
      this.#upSince = this.#options.clock.now()
      this.#wakeAll()
      this.#options.onUp()
    } catch (error) {
      if (this.#port !== port) return
      port.disconnect()
      this.#lost(asNightjarError(error))
    }
  }

  #onResponse(response: { id: number } & ({ result: unknown } | { error: Parameters<typeof errorOfAnswer>[0] })): void {
    const pending = this.#pending.get(response.id)
    if (pending === undefined) return
    if ('error' in response) pending.reject(errorOfAnswer(response.error))
    // Throws where the result cannot be read. The connection then ends, and this request with it.
    else pending.settle(response.result)
    this.#pending.delete(response.id)
  }

  #onEvent(event: BridgeEvent): void {
    if (event.event === 'branch-lost') {
      const error = errorOfCode(event.code)
      for (const id of event.requests) this.#pending.get(id)?.reject(error)
      for (const id of event.requests) this.#pending.delete(id)
    }
    this.#options.onEvent(event)
  }

  #lost(error: NightjarError): void {
    const { clock } = this.#options
    if (this.#upSince !== undefined && clock.now() - this.#upSince >= steadyAfter) this.#failures = 0
    this.#drop(error)
    if (!this.#running) return
    const pause = Math.min(firstPause * 2 ** Math.min(this.#failures, 10), longestPause)
    this.#failures += 1
    this.#retry = clock.after(pause, () => {
      this.#retry = undefined
      this.#connect()
    })
  }

  #drop(error: NightjarError): void {
    this.#port = undefined
    this.#info = undefined
    this.#upSince = undefined
    this.#error = error
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    for (const each of pending) each.reject(error)
    this.#options.onDown(error)
    this.#wakeAll()
  }

  #change(patience: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#waiting.delete(wake)
        timer?.cancel()
        resolve()
      }
      const timer = patience === undefined ? undefined : this.#options.clock.after(patience, wake)
      this.#waiting.add(wake)
    })
  }

  #wakeAll(): void {
    for (const wake of [...this.#waiting]) wake()
  }
}

/** There is no daemon and none could be started: with the reason, if that is one we know. */
function startFailure({ code, detail }: { code: string; detail?: string | undefined }): NightjarError {
  const why = isErrorCode(code) && code !== 'daemon-failed' ? errorTable[code].sentence : undefined
  const text = [why, detail].filter((part) => part !== undefined).join(' ')
  return new NightjarError('daemon-failed', text === '' ? {} : { detail: text })
}
