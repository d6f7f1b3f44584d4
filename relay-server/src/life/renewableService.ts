/**
 * A service that a new configuration replaces: circuits that begin with it from then on get the new one, the others keep
 * theirs. It is closed when the last of these circuits has ended, and what it does for clients that are gone.
 */
import type { FollowedCounts } from '../gateway/gateway.ts'
import type { OpenService } from '../services.ts'

interface Generation {
  readonly service: OpenService
  /** Circuits that use it. */
  circuits: number
}

export class RenewableService implements Omit<OpenService, 'quiet'> {
  #current: Generation
  readonly #open = new Set<Generation>()

  constructor(service: OpenService) {
    this.#current = this.#add(service)
  }

  renew(service: OpenService): void {
    const old = this.#current
    this.#current = this.#add(service)
    void this.#closeIfOver(old)
  }

  readonly serve: OpenService['serve'] = (onEnded) => {
    const generation = this.#current
    generation.circuits += 1
    onEnded(() => {
      generation.circuits -= 1
      void this.#closeIfOver(generation)
    })
    return generation.service.serve(onEnded)
  }

  health(): ReturnType<OpenService['health']> {
    return this.#current.service.health()
  }

  chains(): ReturnType<OpenService['chains']> {
    return this.#current.service.chains()
  }

  followed(): FollowedCounts {
    return sumFollowed([...this.#open].map(({ service }) => service.followed()))
  }

  async close(): Promise<void> {
    const open = [...this.#open]
    this.#open.clear()
    await Promise.all(open.map(({ service }) => service.close()))
  }

  #add(service: OpenService): Generation {
    const generation = { service, circuits: 0 }
    this.#open.add(generation)
    return generation
  }

  async #closeIfOver(generation: Generation): Promise<void> {
    if (generation === this.#current || generation.circuits > 0) return
    // What a circuit leaves behind is there once it has ended altogether, which is in this turn.
    await Promise.resolve()
    await generation.service.quiet()
    if (this.#open.delete(generation)) await generation.service.close()
  }
}

export function sumFollowed(counts: readonly FollowedCounts[]): FollowedCounts {
  const sum = (of: keyof FollowedCounts) => counts.reduce((total, each) => total + each[of], 0)
  return { heads: sum('heads'), watches: sum('watches'), lingering: sum('lingering') }
}
