/** What the pages of each site have under way: bounded per site, so that more frames give it no more. */
import type { PageRequest } from '../../messages/page.ts'

/** Requests of one site at once: bounds the answers that are waited for. */
const requestsAtOnce = 1000
/** Characters of their parameters, as JSON: bounds the memory that they take until they are answered. */
const charactersAtOnce = 16 * 1024 * 1024

interface Load {
  requests: number
  characters: number
}

export class UnderWay {
  readonly #sites = new Map<string, Load>()

  /** Counts a request of `site` until what is returned is called; undefined where it is one too many. */
  begin(site: string, { params }: PageRequest): (() => void) | undefined {
    const characters = params === undefined ? 0 : JSON.stringify(params).length
    const load = this.#sites.get(site) ?? { requests: 0, characters: 0 }
    // Whatever its size, one alone is never too many: its own bound is the content script's.
    const isFull = load.requests >= requestsAtOnce || load.characters + characters > charactersAtOnce
    if (load.requests > 0 && isFull) return undefined
    load.requests += 1
    load.characters += characters
    this.#sites.set(site, load)
    return () => {
      load.requests -= 1
      load.characters -= characters
      if (load.requests === 0) this.#sites.delete(site)
    }
  }
}
