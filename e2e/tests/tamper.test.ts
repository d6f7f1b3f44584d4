/** Somebody changes, repeats or cuts what passes on a link: it is noticed, the request is answered, others are untouched. */
import { isDeepStrictEqual } from 'node:util'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Direction, type LocalRelay, type Provider, type Tap, until } from '../src/network/index.ts'
import { cutNext, flipNext, type Harm, replayNext, type Target } from './support/damage.ts'
import { useNetwork } from './support/network.ts'
import { type Path, pathOf, type Role, roles } from './support/paths.ts'
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
  ask(): Promise<unknown>
  path(): Promise<Path>
}

let asked = 0

function callerNamed(wallet: string): Caller {
  const caller: Caller = {
    async ask() {
      asked += 1
      // The hash of a number: no answer fits another question.
      const input = `0x${asked.toString(16).padStart(64, '0')}`
      const answer = await ask(shared.network.daemon.url(chain), 'web3_sha3', [input], fromWallet(wallet))
      expect(answer).toMatchObject({ result: expect.stringMatching(/^0x[0-9a-f]{64}$/) })
      return answer
    },
    path: () => pathOf(shared.network, () => caller.ask()),
  }
  return caller
}

interface Cast {
  readonly victim: Caller
  /** The gateway that the victim uses while all is well. */
  readonly gateway: LocalRelay
  /** On the victim's trunk, and on the other one. */
  readonly beside: Caller
  readonly apart: Caller
}

let cast: Cast

beforeAll(async () => {
  const [victim, ...others] = wallets.map(callerNamed) as [Caller, ...Caller[]]
  const { circuits, gateway } = await victim.path()
  let beside: Caller | undefined
  let apart: Caller | undefined
  for (const other of others) {
    if (beside !== undefined && apart !== undefined) break
    const isBeside = (await other.path()).circuits.middle === circuits.middle
    if (isBeside) beside ??= other
    else apart ??= other
  }
  if (beside === undefined || apart === undefined) throw new Error('all callers share one trunk')
  cast = { victim, gateway, beside, apart }
})

/** The paths of all, once everybody is where they belong again after the test before. */
async function settledPaths(): Promise<Readonly<Record<'victim' | 'beside' | 'apart', Path>>> {
  const { victim, beside, apart, gateway } = cast
  let paths: Record<'victim' | 'beside' | 'apart', Path> | undefined
  await until('all callers are on their paths', async () => {
    paths = { victim: await victim.path(), beside: await beside.path(), apart: await apart.path() }
    const { circuits } = paths.victim
    const areApart = circuits.middle !== paths.apart.circuits.middle && circuits.middle === paths.beside.circuits.middle
    return areApart && paths.victim.gateway === gateway
  })
  return paths as unknown as Record<'victim' | 'beside' | 'apart', Path>
}

type MakeHarm = (target: Target) => Harm

/** Harms one cell of the victim's next request: it is answered all the same, over another circuit. */
async function expectHealed(paths: { victim: Path }, { role, direction }: Place, harm: MakeHarm): Promise<void> {
  const { victim, beside, apart } = cast
  const path = paths.victim
  const harmed = harm({ tap: path[role].tap as Tap, circuit: path.circuits[role], direction })
  await Promise.all([victim, beside, apart].map((caller) => caller.ask()))
  expect(harmed.count).toBe(1)
  expect((await victim.path()).circuits.gateway).not.toBe(path.circuits.gateway)
}

/** Whoever shares only the link with the victim, or below the middle only the trunk, still has the circuits from before. */
async function expectOthersUntouched(paths: { apart: Path; beside: Path }, { role }: Place): Promise<void> {
  const others = role === 'gateway' ? (['apart', 'beside'] as const) : (['apart'] as const)
  for (const other of others) {
    // A gateway that lost a branch is passed over for a moment; then the old circuits are in use again.
    await until(`the caller ${other} is on its old circuits`, async () =>
      isDeepStrictEqual((await cast[other].path()).circuits, paths[other].circuits),
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
    const paths = await settledPaths()
    await expectHealed(paths, place, harm)
    await expectOthersUntouched(paths, place)
  })

  test.each(wholeLink)('%s: all requests are answered', async (_, harm) => {
    await expectHealed(await settledPaths(), place, harm)
  })
})

test.each(roles)('a cell repeated on the link to the %s is refused, and nothing is asked twice', async (role) => {
  const { victim: path } = await settledPaths()
  const provider = shared.network.providers[chain] as Provider
  const harmed = replayNext({ tap: path[role].tap as Tap, circuit: path.circuits[role], direction: 'forward' })
  provider.forget()
  await cast.victim.ask()
  await cast.victim.ask()
  expect(harmed.count).toBe(1)
  expect(provider.seen).toHaveLength(2)
  expect(new Set(provider.seen.map(({ body }) => body)).size).toBe(2)
  expect((await cast.victim.path()).circuits.gateway).not.toBe(path.circuits.gateway)
})
