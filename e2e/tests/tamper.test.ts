/** Somebody changes, repeats or cuts what passes on a link: it is noticed, the request is answered, others are untouched. */
import { isDeepStrictEqual } from 'node:util'
import { type Hex, keccak256 } from 'viem'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Direction, type LocalRelay, type Provider, type Tap, until } from '../src/network/index.ts'
import { cutNext, flipNext, type Harm, replayNext, type Target } from './support/damage.ts'
import { useNetwork } from './support/network.ts'
import { type Path, pathOf, type Role, roles } from './support/paths.ts'
import { askedFor } from './support/provider.ts'
import { ask, fromWallet } from './support/rpc.ts'

const chain = 31337
const directions: readonly Direction[] = ['forward', 'backward']
interface Place {
  readonly role: Role
  readonly direction: Direction
}

const places: readonly Place[] = roles.flatMap((role) => directions.map((direction) => ({ role, direction })))
/** Groups are spread over the trunks by chance: with so many some are on each. */
const wallets = Array.from({ length: 30 }, (_, index) => `wallet-${index}`)
const shared = useNetwork({ tapped: true, wallets })

afterEach(() => {
  for (const { tap } of shared.network.relays.all) if (tap !== undefined) tap.damage = undefined
})

/** A caller of the endpoint, one isolation group. */
interface Caller {
  /** Asks something that nobody else asks; the answer must be right. */
  ask(): Promise<void>
  path(): Promise<Path>
}

let asked = 0

function callerNamed(wallet: string): Caller {
  const caller: Caller = {
    async ask() {
      asked += 1
      const input: Hex = `0x${asked.toString(16).padStart(64, '0')}`
      const answer = await ask(shared.network.daemon.url(chain), 'web3_sha3', [input], fromWallet(wallet))
      expect(answer).toEqual({ jsonrpc: '2.0', id: 1, result: keccak256(input) })
    },
    path: () => pathOf(shared.network, () => caller.ask()),
  }
  return caller
}

interface Actor {
  readonly caller: Caller
  /** As it was before the harm. */
  readonly path: Path
}

interface Cast {
  readonly victim: Actor
  /** Others on the victim's trunk and on the other one. */
  readonly beside: Actor
  readonly apart: Actor
}

const [firstCaller, ...otherCallers] = wallets.map(callerNamed) as [Caller, ...Caller[]]
/** The gateways that callers use while all is well. */
const homes = new Map<Caller, LocalRelay>()

beforeAll(async () => {
  for (const caller of otherCallers) homes.set(caller, (await caller.path()).gateway)
})

/** Who is where now, if there are the three: groups that lost their trunk go on over the other one. */
async function findCast(): Promise<Cast | undefined> {
  const path = await firstCaller.path()
  let beside: Actor | undefined
  let apart: Actor | undefined
  for (const caller of otherCallers) {
    const other = { caller, path: await caller.path() }
    // Whoever is away from a gateway that is passed over will go back there by itself.
    if (other.path.gateway !== homes.get(caller)) continue
    if (other.path.circuits.middle === path.circuits.middle) beside ??= other
    else apart ??= other
    if (beside !== undefined && apart !== undefined) return { victim: { caller: firstCaller, path }, beside, apart }
  }
  return undefined
}

/** What is asked while the harm is done. */
type Use = (cast: Cast) => Promise<unknown>

const allAtOnce: Use = ({ victim, beside, apart }) =>
  Promise.all([victim, beside, apart].map(({ caller }) => caller.ask()))

type MakeHarm = (target: Target) => Harm

/** Harms one cell of a request of the victim: it is answered all the same, over another circuit. */
async function harmVictim({ role, direction }: Place, harm: MakeHarm, use: Use = allAtOnce): Promise<Cast> {
  let found: Cast | undefined
  await until('a cell of the victim is harmed', async () => {
    const cast = await findCast()
    if (cast === undefined) return false
    const { circuits, [role]: relay } = cast.victim.path
    const harmed = harm({ tap: relay.tap as Tap, circuit: circuits[role], direction })
    await use(cast)
    if (relay.tap !== undefined) relay.tap.damage = undefined
    // It may have gone back to a gateway that was passed over: then nothing was harmed.
    if (harmed.count === 0) return false
    expect((await firstCaller.path()).circuits.gateway).not.toBe(circuits.gateway)
    found = cast
    return true
  })
  return found as unknown as Cast
}

/** Whoever shares only the link with the victim, or below the middle only the trunk, still has the circuits from before. */
async function expectOthersUntouched({ beside, apart }: Cast, { role }: Place): Promise<void> {
  for (const { caller, path } of role === 'gateway' ? [apart, beside] : [apart]) {
    // A gateway that lost a branch is passed over for a moment; then the old circuits are in use again.
    await until('the others are on their old circuits', async () =>
      isDeepStrictEqual((await caller.path()).circuits, path.circuits),
    )
  }
}

// The tag, the branch, ciphertext of the layers, and the last byte, which is fill beyond the entry's link.
const bytes = [5, 21, 512, 1023]
const ownCircuitOnly: readonly (readonly [string, MakeHarm])[] = [
  ...bytes.map(
    (at) => [`byte ${at} of a cell changed`, (target: Target) => flipNext(target, at, 1 << (at % 8))] as const,
  ),
  ['a circuit id changed, so that a cell is lost', (target) => flipNext(target, 1, 0x10)],
  ['RELAY changed to CREATE', (target) => flipNext(target, 4, 2)],
  ['RELAY changed to DESTROY', (target) => flipNext(target, 4, 7)],
]
const wholeLink: readonly (readonly [string, MakeHarm])[] = [
  ['RELAY changed to an unknown command', (target) => flipNext(target, 4, 0x80)],
  ['RELAY changed to PADDING', (target) => flipNext(target, 4, 3)],
  ['the link cut in the middle of a cell', cutNext],
]

describe.each(places)('on the link to the $role, $direction:', (place) => {
  test.each(ownCircuitOnly)('%s: that circuit ends, and no other', async (_, harm) => {
    await expectOthersUntouched(await harmVictim(place, harm), place)
  })

  test.each(wholeLink)('%s: all requests are answered', async (_, harm) => {
    await harmVictim(place, harm)
  })
})

test.each(roles)('a cell repeated on the link to the %s is refused, and nothing is asked twice', async (role) => {
  const provider = shared.network.providers[chain] as Provider
  const replay: MakeHarm = (target) => {
    provider.forget()
    return replayNext(target)
  }
  await harmVictim({ role, direction: 'forward' }, replay, async ({ victim }) => {
    // One after the other, so that no question is lost with its answer and asked again for that.
    await victim.caller.ask()
    await victim.caller.ask()
  })
  // All questions of this file differ, so a second one of a kind would be the repeated cell.
  const bodies = askedFor(provider, 'web3_sha3').map(({ body }) => body)
  expect(bodies.length).toBeGreaterThan(2)
  expect(new Set(bodies).size).toBe(bodies.length)
})
