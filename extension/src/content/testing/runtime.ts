/** The browser's `runtime` as a content script has it, with ports that a test holds the other end of. */
import type { PageEvent, PageMessage, PageResponse } from '../../messages/page.ts'
import type { Runtime, RuntimePort } from '../bridge.ts'

export class FakePort implements RuntimePort {
  readonly posted: PageMessage[] = []
  isDisconnected = false
  #onMessage: ((message: PageResponse | PageEvent) => void)[] = []
  #onDisconnect: (() => void)[] = []

  readonly onMessage = {
    addListener: (listener: (message: PageResponse | PageEvent) => void) => this.#onMessage.push(listener),
  }
  readonly onDisconnect = { addListener: (listener: () => void) => this.#onDisconnect.push(listener) }

  postMessage(message: PageMessage): void {
    if (this.isDisconnected) throw new Error('Attempting to use a disconnected port object')
    this.posted.push(message)
  }

  disconnect(): void {
    this.isDisconnected = true
  }

  /** The background says something. */
  say(message: PageResponse | PageEvent): void {
    for (const listener of this.#onMessage) listener(message)
  }

  /** The other end goes away. */
  close(): void {
    this.isDisconnected = true
    for (const listener of this.#onDisconnect) listener()
  }
}

export class FakeRuntime implements Runtime {
  readonly ports: FakePort[] = []
  readonly names: string[] = []
  id?: string = 'nightjar'

  connect({ name }: { name: string }): FakePort {
    if (this.id === undefined) throw new Error('Extension context invalidated.')
    const port = new FakePort()
    this.ports.push(port)
    this.names.push(name)
    return port
  }

  /** The newest port. */
  get port(): FakePort {
    const port = this.ports.at(-1)
    if (port === undefined) throw new Error('nobody connected')
    return port
  }

  /** The extension is updated or removed: its ports close, and nothing of it works any more. */
  invalidate(): void {
    delete this.id
    this.ports.at(-1)?.close()
  }
}
