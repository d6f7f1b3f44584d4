/** The extension's own pages: each gets a snapshot whenever something changes, and may send commands. */
import * as v from 'valibot'
import { type Choice, choiceIds, type Settings, type Snapshot, type UiMessage } from '../messages/ui.ts'
import { formSchema } from './store.ts'

/** A port to one of the extension's pages, as far as it is used. */
export interface UiPort {
  postMessage(message: UiMessage): void
  onMessage(listener: (message: unknown) => void): void
  onDisconnect(listener: () => void): void
}

export interface UiOptions {
  snapshot(): Snapshot
  connect(): void
  disconnect(): void
  retry(): void
  save(settings: v.InferOutput<typeof formSchema>): void
  resetDirectory(): void
  choose(hosts: readonly string[], choice: Choice): void
  dismissRestart(): void
  forgetLeaks(): void
}

const commands = v.variant('command', [
  v.strictObject({
    command: v.picklist([
      'connect',
      'cancel',
      'disconnect',
      'retry',
      'reset-directory',
      'dismiss-restart',
      'forget-leaks',
    ]),
  }),
  v.strictObject({ command: v.literal('save'), settings: v.unknown() }),
  v.strictObject({ command: v.literal('choose'), hosts: v.array(v.string()), choice: v.picklist(choiceIds) }),
])

export class Ui {
  readonly #options: UiOptions
  readonly #ports = new Set<UiPort>()

  constructor(options: UiOptions) {
    this.#options = options
  }

  serve(port: UiPort): void {
    this.#ports.add(port)
    port.onDisconnect(() => this.#ports.delete(port))
    port.onMessage((message) => {
      const command = v.safeParse(commands, message)
      // Of a page of another version that was left open over an update.
      if (!command.success) return
      const answer = this.#handle(command.output)
      if (answer !== undefined) this.#post(port, answer)
    })
    this.#post(port, { snapshot: this.#options.snapshot() })
  }

  /** Something changed. */
  update(): void {
    if (this.#ports.size === 0) return
    const snapshot = this.#options.snapshot()
    for (const port of [...this.#ports]) this.#post(port, { snapshot })
  }

  #post(port: UiPort, message: UiMessage): void {
    try {
      port.postMessage(message)
    } catch {
      // The page is gone, and we have not been told so yet.
      this.#ports.delete(port)
    }
  }

  #handle(command: v.InferOutput<typeof commands>): UiMessage | undefined {
    switch (command.command) {
      case 'connect':
        this.#options.connect()
        return undefined
      case 'cancel':
      case 'disconnect':
        this.#options.disconnect()
        return undefined
      case 'retry':
        this.#options.retry()
        return undefined
      case 'reset-directory':
        this.#options.resetDirectory()
        return { saved: true }
      case 'choose':
        this.#options.choose(command.hosts, command.choice)
        return undefined
      case 'dismiss-restart':
        this.#options.dismissRestart()
        return undefined
      case 'forget-leaks':
        this.#options.forgetLeaks()
        return undefined
      case 'save':
        return this.#save(command.settings)
    }
  }

  /** The page always says which directory; the one of the build, or none, is not the user's own. */
  #withoutBuiltIn(settings: unknown): unknown {
    const { directory, ...rest } = (settings ?? {}) as { readonly directory?: Settings['directory'] }
    const { settings: current } = this.#options.snapshot()
    const isUnchanged = JSON.stringify(directory) === JSON.stringify(current.directory)
    return current.directoryIsBuiltIn && isUnchanged ? rest : settings
  }

  #save(settings: unknown): UiMessage {
    const result = v.safeParse(formSchema, this.#withoutBuiltIn(settings))
    if (result.success) {
      this.#options.save(result.output)
      return { saved: true }
    }
    const [issue] = result.issues
    const field = (issue.path?.[0]?.key ?? 'wallet') as keyof Settings
    return { saved: false, field, reason: issue.message }
  }
}
