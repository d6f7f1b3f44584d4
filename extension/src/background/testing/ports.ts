/** Ports without a browser: what is posted is kept, and the test plays the other end. */
import type { NativePort } from '../host/hostLink.ts'

/** Both ends copy what they are given, as browsers do. */
function copyOf<T>(message: T): T {
  return JSON.parse(JSON.stringify(message)) as T
}

/** One end of a port, of any of the kinds that the background has; `Out` is what it posts. */
export class ScriptedPort<Out = unknown> {
  /** What was posted, in its order. */
  readonly posted: Out[] = []
  /** Whether our side ended it. */
  isDisconnected = false
  readonly #onMessage: ((message: unknown) => void)[] = []
  readonly #onDisconnect: ((reason: string | undefined) => void)[] = []
  #isClosed = false

  /** Told of each message after it was kept. */
  onPosted: (message: Out) => void = () => undefined

  postMessage(message: Out): void {
    if (this.isDisconnected || this.#isClosed) throw new Error('Attempting to use a disconnected port object')
    const copy = copyOf(message)
    this.posted.push(copy)
    this.onPosted(copy)
  }

  disconnect(): void {
    this.isDisconnected = true
  }

  onMessage(listener: (message: unknown) => void): void {
    this.#onMessage.push(listener)
  }

  onDisconnect(listener: (reason: string | undefined) => void): void {
    this.#onDisconnect.push(listener)
  }

  get isOpen(): boolean {
    return !this.isDisconnected && !this.#isClosed
  }

  /** The other end says something. */
  receive(message: unknown): void {
    if (!this.isOpen) return
    for (const listener of this.#onMessage) listener(copyOf(message))
  }

  /** The other end goes away. */
  close(reason?: string): void {
    if (!this.isOpen) return
    this.#isClosed = true
    for (const listener of this.#onDisconnect) listener(reason)
  }

  /** The other end is gone, and our side was not told so yet. */
  vanish(): void {
    this.#isClosed = true
  }
}

/** A native-messaging port for each connection, the newest last. */
export class ScriptedPorts {
  readonly all: ScriptedPort[] = []
  readonly connect = (): NativePort => {
    const port = new ScriptedPort()
    this.all.push(port)
    this.onConnect(port)
    return port
  }
  onConnect: (port: ScriptedPort) => void = () => undefined

  get last(): ScriptedPort {
    const port = this.all.at(-1)
    if (port === undefined) throw new Error('nobody has connected')
    return port
  }
}
