/** A hostile client that takes all it gets of the links between two other relays, and holds it without sending anything. */
import { setTimeout } from 'node:timers/promises'
import type { Behaviour, Scene } from './behaviour.ts'
import { HostileCircuit } from './circuit.ts'
import { HostileLink } from './link.ts'
import { codeName, message, type Party } from './wire.ts'

/** What one address has of an entry. */
const circuitsPerAddress = 100
/** Where nobody was given another branch it may be that too much was asked for at once: then it is tried again after this. */
const pause = 2000

type Path = Pick<Scene, 'relay' | 'middle' | 'gateway'>

export const branchFlood: Behaviour = {
  name: 'branch flood',
  expected: /^1 of an entry, 32 of a middle; beside one address with (8|9|10|11)[0-9]{2} a newcomer has [3-9]$/,
  async run({ relay, middle, gateway, from }) {
    const link = await HostileLink.open(relay, from)
    const newcomers = await HostileLink.open(relay, otherThan(from))
    try {
      const newTrunk = (from: HostileLink) => openTrunk(from, { relay, middle, gateway })
      const ofEntry = new Holder(await HostileCircuit.open(link, relay), middle)
      const first = await newTrunk(link)
      const alone = `${await takeAll([ofEntry])} of an entry, ${await takeAll([first])} of a middle`
      const holders = [first]
      // The entry's one is a circuit, too.
      while (holders.length < circuitsPerAddress - 1) holders.push(await newTrunk(link))
      await takeAll(holders)
      const held = holders.reduce((sum, holder) => sum + holder.held, 0)
      return `${alone}; beside one address with ${held} a newcomer has ${await takeAll([await newTrunk(newcomers)])}`
    } finally {
      link.end()
      newcomers.end()
    }
  },
}

/** A circuit, and the branches of its last hop to one relay. */
class Holder {
  readonly circuit: HostileCircuit
  readonly #to: Party
  #asked = 0
  held = 0

  constructor(circuit: HostileCircuit, to: Party) {
    this.circuit = circuit
    this.#to = to
  }

  /** Asks for one more; resolves with whether it is there. */
  async take(): Promise<boolean> {
    const branch = ++this.#asked
    await this.circuit.ask(this.#to, branch)
    const outcome = await this.circuit.take('EXTEND is answered', ({ type, data }) => {
      if (type === message.branchClosed) return codeName(data[2] as number)
      // The second part of EXTENDED is the last.
      return type === message.extended && data.length < 900 ? 'extended' : undefined
    })
    if (outcome !== 'extended' && outcome !== 'busy' && outcome !== 'limit-reached') throw new Error(outcome)
    if (outcome === 'extended') this.held += 1
    return outcome === 'extended'
  }
}

async function openTrunk(link: HostileLink, { relay, middle, gateway }: Path): Promise<Holder> {
  const circuit = await HostileCircuit.open(link, relay)
  const outcome = await circuit.extend(middle)
  if (outcome !== 'extended') throw new Error(`no trunk: ${outcome}`)
  return new Holder(circuit, gateway)
}

/** All that they get, each asking again and again; resolves with how many that were. */
async function takeAll(holders: readonly Holder[]): Promise<number> {
  let taken = 0
  for (let inVain = 0; inVain < 2; inVain++) {
    const outcomes = await Promise.all(holders.map((holder) => holder.take()))
    const gained = outcomes.filter(Boolean).length
    taken += gained
    if (gained > 0) inVain = -1
    else await setTimeout(pause)
  }
  return taken
}

/** Another address of loopback. */
function otherThan(from: string): string {
  return from.replace(/\d+$/, '250')
}
