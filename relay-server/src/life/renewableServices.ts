/**
 * Services that a new configuration replaces: circuits that begin with them from then on get the new ones, the others keep
 * theirs, which are closed with the last of these circuits.
 */
import type { OpenServices } from '../services.ts'

interface Generation {
  readonly services: OpenServices
  /** Circuits that use them. */
  circuits: number
}

export class RenewableServices implements OpenServices {
  #current: Generation
  readonly #open = new Set<Generation>()

  constructor(services: OpenServices) {
    this.#current = this.#add(services)
  }

  renew(services: OpenServices): void {
    const old = this.#current
    this.#current = this.#add(services)
    void this.#closeIfOver(old)
  }

  readonly serve: OpenServices['serve'] = (onEnded) => {
    const generation = this.#current
    generation.circuits += 1
    onEnded(() => {
      generation.circuits -= 1
      void this.#closeIfOver(generation)
    })
    return generation.services.serve(onEnded)
  }

  health(): ReturnType<OpenServices['health']> {
    return this.#current.services.health()
  }

  chains(): ReturnType<OpenServices['chains']> {
    return this.#current.services.chains()
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open].map(({ services }) => services.close()))
    this.#open.clear()
  }

  #add(services: OpenServices): Generation {
    const generation = { services, circuits: 0 }
    this.#open.add(generation)
    return generation
  }

  async #closeIfOver(generation: Generation): Promise<void> {
    if (generation === this.#current || generation.circuits > 0) return
    if (this.#open.delete(generation)) await generation.services.close()
  }
}
