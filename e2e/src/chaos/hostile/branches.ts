/** A hostile client that takes all it gets of the links between two other relays, and holds it without sending anything. */
import { setTimeout } from 'node:timers/promises'
import { type Behaviour, circuitsPerLink, type Scene } from './behaviour.ts'
import { HostileCircuit } from './circuit.ts'
import { HostileLink } from './link.ts'
import { codeName, message, type Party } from './wire.ts'

/** Over 50 links one address has 200 circuits, for which it takes three minutes; two have most of these at once. */
const attackers = [249, 250]
const linksPerAttacker = 17
/** Where nobody was given another branch it may be that too much was asked for at once: then it is tried again after this. */
const pause = 1000

type Path = Pick<Scene, 'relay' | 'middle' | 'gateway'>

export const branchFlood: Behaviour = {
  name: 'branch flood',
  expected: /^1 of an entry, 32 of a middle; beside 136 circuits with (9|10|11|12)[0-9]{2} a newcomer has [2-7]$/,
  async run({ relay, middle, gateway, from }) {
    const links: HostileLink[] = []
    const open = async (address: string) => {
      links.push(await HostileLink.open(relay, address))
      return links.at(-1) as HostileLink
    }
    try {
      const newTrunk = (link: HostileLink) => openTrunk(link, { relay, middle, gateway })
      const newcomers = await open(from)
      const entry = new Holder(await HostileCircuit.open(newcomers, relay), middle)
      const ofEntry = await takeAll([entry])
      const holders: Holder[] = []
      for (const last of attackers) {
        for (let opened = 0; opened < linksPerAttacker; opened++) {
          const link = await open(from.replace(/\d+$/, String(last)))
          for (let circuit = 0; circuit < circuitsPerLink; circuit++) holders.push(await newTrunk(link))
        }
      }
      const ofMiddle = await takeAll(holders.slice(0, 1))
      await takeAll(holders)
      const held = holders.reduce((sum, holder) => sum + holder.held, 0)
      const left = await takeAll([await newTrunk(newcomers)])
      return `${ofEntry} of an entry, ${ofMiddle} of a middle; beside ${holders.length} circuits with ${held} a newcomer has ${left}`
    } finally {
      for (const link of links) link.end()
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
