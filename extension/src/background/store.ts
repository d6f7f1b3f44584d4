/**
 * What the extension remembers, in one versioned object of `storage.local`: its secret, the user's settings, whether it
 * is on, and what the wallet agreed to. Nothing in it says which sites or accounts were used.
 */
import { base64, fromBase64 } from '@nightjar/shared/bytes'
import type { DocumentMark, Trust } from '@nightjar/shared/directory'
import { NightjarError } from '@nightjar/shared/errors'
import { type Clock, second, type Timer } from '@nightjar/shared/runtime'
import * as v from 'valibot'
import type { Settings } from '../messages/ui.ts'
import { accountsSchema, usualChoices } from './accounts/settings.ts'
import { choicesSchema, noChoices } from './shield/choices.ts'
import { elsewhereSchema } from './shield/elsewhere.ts'

const bytes32 = v.pipe(
  v.string(),
  v.check((text) => {
    try {
      return fromBase64(text).length === 32
    } catch {
      // Not base64: the check's answer says so.
      return false
    }
  }, 'must be the base64 text of 32 bytes'),
)

const directory = v.pipe(
  v.strictObject({
    keys: v.pipe(v.array(bytes32), v.minLength(1, 'must have at least one key')),
    threshold: v.pipe(v.number(), v.integer('must be a whole number'), v.minValue(1, 'must be at least 1')),
  }),
  v.check(({ keys, threshold }) => threshold <= new Set(keys).size, 'must not ask for more signatures than keys'),
)

/** Chrome's match patterns for web pages: one that Chrome refuses would leave all sites without the scripts. */
const site = v.pipe(
  v.string(),
  v.toLowerCase(),
  v.regex(
    /^(\*|https?):\/\/(\*|(\*\.)?[a-z0-9.-]+|\[[0-9a-f:]+\])(:(\d+|\*))?\/\*$/,
    'must look like https://app.example.org/*',
  ),
  v.check((text) => Number(/:(\d+)\/\*$/.exec(text)?.[1] ?? 0) <= 0xffff, 'must have a port up to 65535'),
)

export const settingsSchema = v.strictObject({
  wallet: v.pipe(v.string(), v.regex(/^[a-p]{32}$/, 'must be an extension id: 32 letters from a to p')),
  directory: v.optional(directory),
  sites: v.pipe(v.array(site), v.maxLength(200, 'must have at most 200 sites')),
  shield: choicesSchema,
  /** Not there in what older versions stored. */
  accounts: v.optional(accountsSchema, usualChoices),
})

/** What a form sets; the shield's choices are made one by one. */
export const formSchema = v.omit(settingsSchema, ['shield'])

const stateSchema = v.strictObject({
  version: v.literal(1),
  /** Key of the group labels. */
  secret: bytes32,
  enabled: v.boolean(),
  settings: settingsSchema,
  /** The newest network document seen. */
  mark: v.optional(v.strictObject({ version: v.number(), hash: bytes32 })),
  wallet: v.strictObject({
    /** The endpoint that it agreed to, without its chain, and for which chains. */
    endpoint: v.string(),
    chains: v.array(v.number()),
    /** When it did so first, in milliseconds since the Unix epoch. */
    since: v.number(),
    /** Whether a request of it has come there after that. */
    seen: v.boolean(),
  }),
  today: v.strictObject({ day: v.string(), requests: v.number() }),
  /** While the browser's proxy setting is ours. */
  shield: v.optional(
    v.strictObject({
      /** Where hosts that are not listed went before, and whether that was up to the system. */
      elsewhere: elsewhereSchema,
      isSystem: v.boolean(),
      /** Where the daemon listened last; none while it was not there. */
      ports: v.optional(v.strictObject({ port: v.number(), sinkPort: v.number() })),
    }),
  ),
})

export type State = v.InferOutput<typeof stateSchema>

/** The store id of MetaMask. */
export const metaMask = 'nkbihfbeogaeaoehlefnkodbefgpgknn'

export interface Storage {
  read(): Promise<unknown>
  write(value: unknown): Promise<void>
}

/** Not at each request: the disk would see when a site asks. */
const countEvery = 10 * second

export interface StoreOptions {
  readonly clock: Clock
  readonly storage: Storage
  /** The directory of the build, if it has one. */
  readonly builtIn: Directory | undefined
  randomBytes(length: number): Uint8Array
}

export type Directory = Settings['directory']

export class Store {
  readonly #options: StoreOptions
  #countTimer: Timer | undefined
  state: State

  private constructor(options: StoreOptions, state: State) {
    this.#options = options
    this.state = state
  }

  /**
   * What was stored, or a fresh state. What cannot be read is replaced, as a damaged store must not lock the user out; but
   * it stays on where it was, or what the user thinks is private would go direct.
   */
  static async load(options: StoreOptions): Promise<Store> {
    const value = await options.storage.read()
    const stored = v.safeParse(stateSchema, value)
    if (stored.success) return new Store(options, stored.output)
    const { enabled } = (value ?? {}) as { readonly enabled?: unknown }
    const store = new Store(options, { ...freshState(options.randomBytes), enabled: enabled === true })
    store.#write()
    return store
  }

  change(changes: Partial<State>): void {
    this.state = { ...this.state, ...changes }
    this.#write()
  }

  get secret(): Uint8Array {
    return fromBase64(this.state.secret)
  }

  /** What the options page shows. */
  get settings(): Settings {
    const { wallet, directory: own, sites, shield, accounts } = this.state.settings
    const used = own ?? this.#options.builtIn ?? { keys: [], threshold: 1 }
    return { wallet, directory: used, directoryIsBuiltIn: own === undefined, sites, shield, accounts }
  }

  /** @throws NightjarError `no-directory-keys` */
  get trust(): Trust {
    const { keys, threshold } = this.settings.directory
    if (keys.length === 0) throw new NightjarError('no-directory-keys')
    return { keys: keys.map(fromBase64), threshold }
  }

  get mark(): DocumentMark | undefined {
    const { mark } = this.state
    return mark === undefined ? undefined : { version: mark.version, hash: fromBase64(mark.hash) }
  }

  setMark({ version, hash }: DocumentMark): void {
    if (this.state.mark !== undefined && this.state.mark.version >= version) return
    this.change({ mark: { version, hash: base64(hash) } })
  }

  /** Counts a request of a site; only how many there were today is kept. */
  count(today: string): void {
    const { day, requests } = this.state.today
    this.state = { ...this.state, today: { day: today, requests: day === today ? requests + 1 : 1 } }
    this.#countTimer ??= this.#options.clock.after(countEvery, () => {
      this.#countTimer = undefined
      this.#write()
    })
  }

  #write(): void {
    // A full disk costs what was remembered, not what works now.
    this.#options.storage.write(this.state).catch((error: unknown) => console.error('Nightjar could not store', error))
  }
}

/** A wallet of which nothing is known. */
export const unasked: State['wallet'] = { endpoint: '', chains: [], since: 0, seen: false }

function freshState(randomBytes: (length: number) => Uint8Array): State {
  return {
    version: 1,
    secret: base64(randomBytes(32)),
    enabled: false,
    settings: { wallet: metaMask, sites: [], shield: noChoices, accounts: usualChoices },
    wallet: unasked,
    today: { day: '', requests: 0 },
  }
}
