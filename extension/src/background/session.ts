/**
 * What is remembered until the browser ends, over stops of the service worker, and never on disk: whether a restart was
 * advised, and the leak report. One object of `storage.session`.
 */
import * as v from 'valibot'
import type { Storage } from './store.ts'

const leak = v.strictObject({
  host: v.string(),
  /** Host of the page that asked; empty where the browser does not say. */
  site: v.string(),
  count: v.number(),
  /** In milliseconds since the Unix epoch. */
  last: v.number(),
})

const sessionSchema = v.strictObject({
  /** Connections that were open when the shield went up stay as they are until the browser is restarted. */
  restart: v.picklist(['none', 'advised', 'dismissed']),
  leaks: v.array(leak),
})

export type SessionState = v.InferOutput<typeof sessionSchema>

export class Session {
  readonly #storage: Storage
  /** Whether this is the first service worker since the browser's start. */
  readonly isNew: boolean
  state: SessionState

  private constructor(storage: Storage, stored: SessionState | undefined) {
    this.#storage = storage
    this.isNew = stored === undefined
    this.state = stored ?? { restart: 'none', leaks: [] }
  }

  static async load(storage: Storage): Promise<Session> {
    const stored = v.safeParse(sessionSchema, await storage.read())
    const session = new Session(storage, stored.success ? stored.output : undefined)
    session.change({})
    return session
  }

  change(changes: Partial<SessionState>): void {
    this.state = { ...this.state, ...changes }
    this.#storage.write(this.state).catch((error: unknown) => console.error('Nightjar could not store', error))
  }
}
