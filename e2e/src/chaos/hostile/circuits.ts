/** Hostile behaviours on a link and its circuits. */
import { randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { until } from '../../network/index.ts'
import { type Behaviour, circuitsPerLink, type Scene } from './behaviour.ts'
import { branchFlood } from './branches.ts'
import { HostileCircuit } from './circuit.ts'
import { cellOf, HostileLink } from './link.ts'
import { bodySize, codeName, command, message, partsOf, purpose, startHandshake, u16 } from './wire.ts'

const floodCells = 30_000
const floodHandshakes = 2000
const patience = 60_000
/** Cells a second that relays take of a link here: fewer than anybody can make, so that a flood is held back for sure. */
export const heldTo = 8192

export const circuitBehaviours: readonly Behaviour[] = [
  {
    name: 'slow read',
    expected: /^circuit destroyed with overflow$|^link closed/,
    run: (scene) =>
      withCircuit(scene, async (circuit, link) => {
        link.socket.pause()
        for (let sent = 0; sent < floodCells && circuit.ended === undefined; sent += 512) {
          await link.send(Array.from({ length: 512 }, () => circuit.cell(message.ping, 0, randomBytes(8))))
        }
        link.socket.resume()
        return ended(circuit)
      }),
  },
  {
    name: 'circuit flood',
    expected: /^146 of 150 refused with limit-reached$/,
    async run({ relay, from }) {
      const link = await HostileLink.open(relay, from)
      const answers = countAnswers(link)
      const count = 150
      await link.send(Array.from({ length: count }, (_, index) => halfCreate(index + 1_000_000)))
      await until('those beyond the limit are refused', () => answers.total() >= count - circuitsPerLink, patience)
      link.end()
      return `${answers.of('limit-reached')} of ${count} refused with limit-reached`
    },
  },
  branchFlood,
  {
    name: 'oversized totals',
    expected: /^circuit destroyed with protocol-violation$/,
    async run({ relay, from }) {
      const link = await HostileLink.open(relay, from)
      const answers = countAnswers(link)
      await link.send([cellOf(1, command.create, Buffer.concat([u16(2049), Buffer.alloc(1017, 1)]))])
      await until('the circuit is destroyed', () => answers.total() > 0, patience)
      link.end()
      return `circuit destroyed with ${answers.names()}`
    },
  },
  {
    name: 'never-ending fragments',
    expected: /^40 of 40 destroyed with timed-out; circuit destroyed with protocol-violation$/,
    async run(scene) {
      const links = await Promise.all(Array.from({ length: 10 }, () => HostileLink.open(scene.relay, scene.from)))
      const answers = links.map(countAnswers)
      const count = links.length * circuitsPerLink
      const half = Array.from({ length: circuitsPerLink }, (_, index) => halfCreate(index + 1))
      for (const link of links) await link.send(half)
      const isTimedOut = (each: Answers) => each.of('timed-out') === circuitsPerLink
      await until('half-made circuits time out', () => answers.every(isTimedOut), patience)
      for (const link of links) link.end()
      // EXTEND in parts without a byte: it would go on for ever.
      const endless = await withCircuit(scene, async (circuit) => {
        await circuit.send([circuit.cell(message.extend, 0, u16(1261))])
        return ended(circuit)
      })
      return `${count} of ${count} destroyed with timed-out; ${endless}`
    },
  },
  {
    name: 'EXTEND to unknown or own identity',
    expected: /^unknown: unknown-relay; own: refused/,
    run: (scene) =>
      withCircuit(scene, async (circuit) => {
        const unknown = await circuit.extend({ ...scene.middle, identity: randomBytes(32) }, 1)
        const own = await circuit.extend(scene.relay, 2)
        return `unknown: ${unknown}; own: ${own}`
      }),
  },
  {
    name: 'loops',
    expected: /^\d hops, then (?!extended)/,
    run: (scene) =>
      withCircuit(scene, async (circuit) => {
        for (;;) {
          const next = circuit.depth % 2 === 1 ? scene.middle : scene.relay
          const outcome = await circuit.extend(next)
          if (outcome !== 'extended') return `${circuit.depth} hops, then ${outcome}`
        }
      }),
  },
  {
    name: 'DROP flood',
    expected: /^held to about 8192 cells a second, and the circuit serves on$/,
    run: (scene) =>
      withCircuit(scene, async (circuit) => {
        const begun = performance.now()
        for (let sent = 0; sent < floodCells; sent += 512) {
          await circuit.send(Array.from({ length: 512 }, () => circuit.cell(message.drop, 0, Buffer.alloc(900, 1))))
        }
        const answer = await pinged(circuit)
        if (answer !== 'pong') return answer
        const perSecond = Math.round((floodCells * 1000) / (performance.now() - begun))
        const held = perSecond < 1.5 * heldTo ? `held to about ${heldTo}` : `taken at ${perSecond}`
        return `${held} cells a second, and the circuit serves on`
      }),
  },
  {
    name: 'delay maximum',
    expected: /^branch closed with overflow$/,
    run: (scene) =>
      withCircuit(scene, async (circuit) => {
        for (const party of [scene.middle, scene.gateway]) {
          const outcome = await circuit.extend(party)
          if (outcome !== 'extended') throw new Error(`no path: ${outcome}`)
        }
        // At the middle each waits 1.275 s, and no more of them than a branch may have under way.
        const delayed = Array.from({ length: 700 }, () =>
          circuit.cell(message.ping, 0, randomBytes(8), { delayAtMiddle: 255 }),
        )
        await circuit.send(delayed)
        const code = await circuit.take('the branch is closed', ({ hop, type, data }) =>
          hop === 1 && type === message.branchClosed ? codeName(data[2] as number) : undefined,
        )
        return `branch closed with ${code}`
      }),
  },
  {
    name: 'DESTROY storm',
    expected: /^of 2000 circuits made and destroyed [\d,]+ were held back; the link serves on$|^link closed/,
    run: (scene) =>
      flood(scene, 'circuits made and destroyed', async ({ link, hello, answers }) => {
        for (let id = 1; id <= floodHandshakes && !link.isClosed; id++) {
          await link.send([...create(id, hello), cellOf(id, command.destroy), cellOf(id, command.destroy)])
        }
        // What comes last says that all before was dealt with.
        const last = floodHandshakes + 1
        await link.send([cellOf(last, command.create, Buffer.concat([u16(2049), Buffer.alloc(1017, 1)]))])
        await until('the relay has dealt with all of it', () => link.isClosed || answers.seen(last), patience)
      }),
  },
  {
    name: 'handshake flood',
    expected: /^of 2000 handshakes [1-9][\d,]* were held back; the link serves on$|^link closed/,
    run: (scene) =>
      flood(scene, 'handshakes', async ({ link, hello, answers }) => {
        for (let first = 1; first < floodHandshakes && !link.isClosed; first += circuitsPerLink) {
          const ids = Array.from({ length: circuitsPerLink }, (_, index) => first + index)
          await link.send(ids.flatMap((id) => create(id, hello)))
          while (!link.isClosed && !ids.every(answers.seen)) await answers.next()
          // Makes room for the next.
          await link.send(ids.map((id) => cellOf(id, command.destroy)))
        }
      }),
  },
]

/** Does `action` on a circuit of its own, and lets go of it. */
async function withCircuit(
  { relay, from }: Scene,
  action: (circuit: HostileCircuit, link: HostileLink) => Promise<string>,
): Promise<string> {
  const link = await HostileLink.open(relay, from)
  try {
    return await action(await HostileCircuit.open(link, relay), link)
  } finally {
    link.end()
  }
}

async function ended(circuit: HostileCircuit): Promise<string> {
  await circuit.until('the circuit is ended', () => circuit.ended !== undefined, patience)
  return circuit.ended as string
}

/** `pong` where the relay still answers on this circuit, otherwise how that ended. */
async function pinged(circuit: HostileCircuit): Promise<string> {
  const token = randomBytes(8)
  await circuit.send([circuit.cell(message.ping, 0, token)])
  return circuit.take('PING is answered', ({ type, data }) =>
    type === message.pong && data.equals(token) ? 'pong' : undefined,
  )
}

interface Flood {
  readonly link: HostileLink
  /** One for all circuits: to whoever sends it, it costs nothing. */
  readonly hello: Buffer
  readonly answers: Answers
}

/** Two thousand handshakes on one link, as `send` makes them; says how many of them were not answered at once. */
async function flood({ relay, from }: Scene, what: string, send: (flood: Flood) => Promise<void>): Promise<string> {
  const link = await HostileLink.open(relay, from)
  const answers = countAnswers(link)
  const { hello } = startHandshake(purpose.hop, 1, relay.identity, relay.onion)
  const noAnswer = setTimeout(patience, undefined, { ref: false }).then(() => {
    throw new Error('the relay does not answer')
  })
  await Promise.race([send({ link, hello, answers }), noAnswer])
  if (link.isClosed) return `link closed with ${await link.closed}`
  link.end()
  const heldBack = answers.of('puzzle') + answers.of('limit-reached')
  return `of ${floodHandshakes} ${what} ${heldBack} were held back; the link serves on`
}

function create(circuit: number, hello: Buffer): Buffer[] {
  return partsOf(hello, bodySize).map((part) => cellOf(circuit, command.create, part))
}

interface Answers {
  /** How many circuits were answered so: `puzzle`, `created`, or the code of DESTROY. */
  of(name: string): number
  total(): number
  names(): string
  seen(circuit: number): boolean
  /** Resolves at the next one, or where the link is closed. */
  next(): Promise<unknown>
}

function countAnswers(link: HostileLink): Answers {
  const byCircuit = new Map<number, string>()
  let tell = () => {}
  link.onOther = (cell) => {
    const what = cell[4]
    const name = what === command.puzzle ? 'puzzle' : what === command.destroy ? codeName(cell[5] as number) : `created`
    byCircuit.set(cell.readUInt32BE(), name)
    tell()
  }
  const all = () => [...byCircuit.values()]
  return {
    of: (name) => all().filter((each) => each === name).length,
    total: () => byCircuit.size,
    names: () => [...new Set(all())].join(', '),
    seen: (circuit) => byCircuit.has(circuit),
    next() {
      const next = new Promise<void>((resolve) => {
        tell = resolve
      })
      return Promise.race([next, link.closed])
    },
  }
}

/** The first of the two cells of a CREATE; the second never comes. */
function halfCreate(circuit: number): Buffer {
  return cellOf(circuit, command.create, Buffer.concat([u16(1227), Buffer.alloc(1017, 1)]))
}
