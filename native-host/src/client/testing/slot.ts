/** One trunk slot on a scripted network, with fixed relays or a changing choice; and what is opened on two that stand. */
import type { CircuitContext } from '@nightjar/shared/circuit'
import type { Relay } from '@nightjar/shared/directory'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { GuardLinks } from '../guards.ts'
import { RelayHealth } from '../health.ts'
import { OpenBranches } from '../openBranches.ts'
import { TrunkSlot } from '../trunk.ts'
import type { TestNetwork } from './network.ts'

export interface TestSlot {
  readonly slot: TrunkSlot
  readonly health: RelayHealth
  readonly links: GuardLinks
  /** When a build began, in milliseconds since the test's. */
  readonly builds: number[]
  /** Names of the relays to use from the next build on; may be changed. */
  readonly path: { entry: string; middle: string }
}

/** Not started. @param random with 0 each pause is half of what it can be at most, and what leaves a trunk leaves at once */
export function makeSlot(net: TestNetwork, random = () => 0): TestSlot {
  const { clock } = net
  const began = clock.now()
  const health = new RelayHealth(clock)
  const links = new GuardLinks({ dial: net.dial, clock, health })
  const context: CircuitContext = { crypto: nativeCrypto, clock }
  const test: TestSlot = {
    slot: new TrunkSlot({
      clock,
      context,
      links,
      health,
      choose() {
        test.builds.push(clock.now() - began)
        return { entry: net.named(test.path.entry).relay, middle: net.named(test.path.middle).relay }
      },
      onChange() {},
      random,
    }),
    health,
    links,
    builds: [],
    path: { entry: 'r0', middle: 'r1' },
  }
  return test
}

/** Two trunks that stand, r0–r1 and r0–r2, of which every group prefers the first, and branches on them. */
export async function onTwoTrunks(net: TestNetwork, inners: readonly Relay[]) {
  const random = () => 0.5
  const [first, second] = [makeSlot(net, random), makeSlot(net, random)]
  second.path.middle = 'r2'
  for (const { slot } of [first, second]) slot.start()
  await net.settle()
  const slots: TrunkSlot[] = [first.slot, second.slot]
  const { clock } = net
  const health = new RelayHealth(clock)
  const open = new OpenBranches({
    ...{ clock, health, random },
    slotsFor: async () => [...slots],
    innersFor: () => inners,
  })
  return { net, first, second, slots, health, open }
}
