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

/** The gateway that the victim uses while all is well. */
let home: LocalRelay
const [firstCaller, ...otherCallers] = wallets.map(callerNamed) as [Caller, ...Caller[]]

beforeAll(async () => {
  home = (await firstCaller.path()).gateway
})

/** Who is where now. Groups that lost their trunk go on over the other one, so this changes from test to test. */
async function findCast(): Promise<Cast> {
  let path = await firstCaller.path()
  await until('the victim is at its gateway again', async () => {
    path = await firstCaller.path()
    return path.gateway === home
  })
  let beside: Actor | undefined
  let apart: Actor | undefined
  for (const caller of otherCallers) {
    const other = { caller, path: await caller.path() }
    if (other.path.circuits.middle === path.circuits.middle) beside ??= other
    else apart ??= other
    if (beside !== undefined && apart !== undefined) return { victim: { caller: firstCaller, path }, beside, apart }
  }
  throw new Error('all callers share one trunk')
}

type MakeHarm = (target: Target) => Harm

/** Harms one cell of the victim's next request: it is answered all the same, over another circuit. */
async function expectHealed(
  { victim, beside, apart }: Cast,
  { role, direction }: Place,
  harm: MakeHarm,
): Promise<void> {
  const { circuits, [role]: relay } = victim.path
  const harmed = harm({ tap: relay.tap as Tap, circuit: circuits[role], direction })
  await Promise.all([victim, beside, apart].map(({ caller }) => caller.ask()))
  expect(harmed.count).toBe(1)
  expect((await victim.caller.path()).circuits.gateway).not.toBe(circuits.gateway)
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
    const cast = await findCast()
    await expectHealed(cast, place, harm)
    await expectOthersUntouched(cast, place)
  })

  test.each(wholeLink)('%s: all requests are answered', async (_, harm) => {
    await expectHealed(await findCast(), place, harm)
  })
})

test.each(roles)('a cell repeated on the link to the %s is refused, and nothing is asked twice', async (role) => {
  const { caller, path } = (await findCast()).victim
  const provider = shared.network.providers[chain] as Provider
  const harmed = replayNext({ tap: path[role].tap as Tap, circuit: path.circuits[role], direction: 'forward' })
  provider.forget()
  await caller.ask()
  await caller.ask()
  expect(harmed.count).toBe(1)
  expect(provider.seen).toHaveLength(2)
  expect(new Set(provider.seen.map(({ body }) => body)).size).toBe(2)
  expect((await caller.path()).circuits.gateway).not.toBe(path.circuits.gateway)
})
