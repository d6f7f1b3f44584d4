/** What relays hold when nobody uses them: descriptors and timers, before a run and after it. */
import { type LocalRelay, until } from '../network/index.ts'
import { countTimers } from './inside.ts'
import { descriptorsOf } from './processes.ts'
import type { Stage } from './stage.ts'

/** Of one relay with its workers, when nothing runs over it. */
export interface Rest {
  readonly relay: string
  readonly descriptors: readonly [before: number, after: number]
  readonly timers: readonly [before: number, after: number]
}

/** Relays keep links and sockets that nobody uses for some time; what is beyond that is a leak. */
const restWithin = 60_000

export interface AtRest {
  readonly descriptors: number
  readonly timers: number
}

/** Links between relays stay for minutes: each event loop may have one to each other relay, and as many come in. */
export const spareDescriptors = 2 * 2 * 9 + 4
/** Each link has a watch, and each that was dialled one more; relays have 3 to 21 more than before (docs/chaos.md). */
export const spareTimers = spareDescriptors

export async function restOf(stage: Stage): Promise<Map<LocalRelay, AtRest>> {
  const found = new Map<LocalRelay, AtRest>()
  for (const relay of stage.relays.all) {
    let [descriptors, timers] = [0, 0]
    for (const pid of await stage.pidsOf(relay)) {
      descriptors += await descriptorsOf(pid)
      timers += await countTimers(stage.folder, pid)
    }
    found.set(relay, { descriptors, timers })
  }
  return found
}

/** Gives relays time to let go of what nobody uses, and tells what they hold then. */
export async function comeToRest(stage: Stage, before: ReadonlyMap<LocalRelay, AtRest>): Promise<Rest[]> {
  const deadline = Date.now() + restWithin
  let rest: Rest[] = []
  await until(
    'relays are at rest',
    async () => {
      const after = await restOf(stage)
      rest = [...before].map(([relay, { descriptors, timers }]) => ({
        relay: relay.name,
        descriptors: [descriptors, after.get(relay)?.descriptors ?? 0],
        timers: [timers, after.get(relay)?.timers ?? 0],
      }))
      const isQuiet = rest.every(
        ({ descriptors: [was, is], timers: [had, has] }) => is <= was + spareDescriptors && has <= had + spareTimers,
      )
      return isQuiet || Date.now() > deadline
    },
    2 * restWithin,
  )
  return rest
}
