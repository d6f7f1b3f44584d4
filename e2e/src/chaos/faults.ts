/** All that goes wrong in a chaos run, one after the other: each is done to a victim, held for a while, and undone. */
import { type LocalRelay, type Provider, until } from '../network/index.ts'
import { setClock } from './inside.ts'
import { childrenOf } from './processes.ts'
import type { Random } from './random.ts'
import type { Stage, Victims } from './stage.ts'

export interface Fault {
  readonly name: string
  /** Does it. Undoing it says what was noticed that should not be, in words; nothing where all was well. */
  begin(stage: Stage, random: Random): Promise<Begun>
}

export interface Begun {
  /** What it was done to. */
  readonly victim: string
  undo(): Promise<string | undefined>
}

/** Beyond what a relay may take to drain (drain_timeout), or a worker to be replaced. */
const patience = 40_000
const minute = 60_000

/** The one during which wrong answers may come: until the gateway has looked which chain its provider is on. */
export const otherChainFault = 'upstream is on another chain'

export const faults: readonly Fault[] = [
  killed('relay killed', ({ middles }) => middles),
  killed('gateway killed', ({ gateways }) => gateways),
  workerKilled('worker killed'),
  paused('relay stopped and resumed', ({ middles }) => middles),
  paused('gateway stopped and resumed', ({ gateways }) => gateways),
  drained('relay drained', ({ middles }) => middles),
  drained('gateway drained', ({ gateways }) => gateways),
  reloaded('relay reloaded', ({ middles }) => middles),
  reloaded('gateway reloaded', ({ gateways }) => gateways),
  upstream('upstream refuses', (each) => each.refuse()),
  upstream('upstream hangs', (each) => {
    each.misbehaviour = 'hang'
  }),
  upstream('upstream answers 5xx', (each) => {
    each.misbehaviour = 'error'
  }),
  upstream('upstream answers garbage', (each) => {
    each.misbehaviour = 'garbage'
  }),
  upstream(otherChainFault, (each, { otherNode }) => {
    each.elsewhere = otherNode
  }),
  upstream('upstream has a stale head', (each) => {
    each.forge = staleHead
  }),
  linksCut('links cut half-way'),
  clockJumped('clock jumps forward', 3 * minute),
  clockJumped('clock jumps back', -3 * minute),
  directoryGone('directory gone while a relay restarts'),
  diskFull('disk full while a relay restarts'),
]

type Choice = (stage: Stage) => Victims

function killed(name: string, victims: Choice): Fault {
  return {
    name,
    async begin(stage, random) {
      const victim = random.oneOf(victims(stage).mortal)
      await kill(victim)
      return { victim: victim.name, undo: async () => void (await victim.restart()) }
    },
  }
}

function workerKilled(name: string): Fault {
  return {
    name,
    async begin(stage, random) {
      const manned: { relay: LocalRelay; workers: number[] }[] = []
      for (const relay of stage.relays.all) {
        const workers = await childrenOf(relay.process.pid)
        if (workers.length > 0) manned.push({ relay, workers })
      }
      const { relay, workers } = random.oneOf(manned)
      process.kill(random.oneOf(workers), 'SIGKILL')
      return {
        victim: relay.name,
        async undo() {
          const now = async () => (await childrenOf(relay.process.pid)).filter((pid) => !workers.includes(pid)).length
          return complaint(until('a worker is replaced', async () => (await now()) === 1, patience))
        },
      }
    },
  }
}

function paused(name: string, victims: Choice): Fault {
  return {
    name,
    async begin(stage, random) {
      const victim = random.oneOf(victims(stage).all)
      const pids = await stage.pidsOf(victim)
      for (const pid of pids) process.kill(pid, 'SIGSTOP')
      return {
        victim: victim.name,
        async undo() {
          for (const pid of pids) process.kill(pid, 'SIGCONT')
        },
      }
    },
  }
}

function drained(name: string, victims: Choice): Fault {
  return {
    name,
    async begin(stage, random) {
      const victim = random.oneOf(victims(stage).mortal)
      victim.process.signal('SIGTERM')
      return {
        victim: victim.name,
        async undo() {
          const code = await Promise.race([victim.process.ended, after(patience, 'still running' as const)])
          if (code === 'still running') await kill(victim)
          await victim.restart()
          return code === 0 ? undefined : `drained, it ended with ${code}`
        },
      }
    },
  }
}

function reloaded(name: string, victims: Choice): Fault {
  return {
    name,
    async begin(stage, random) {
      const victim = random.oneOf(victims(stage).all)
      victim.process.signal('SIGHUP')
      return {
        victim: victim.name,
        async undo() {
          // One whose providers have both failed a moment ago says 503 for a while.
          const failure = await complaint(until('it serves on after SIGHUP', () => isServing(victim), patience))
          if (failure === undefined) return undefined
          await kill(victim)
          await victim.restart()
          return failure
        },
      }
    },
  }
}

function upstream(name: string, spoil: (provider: Provider, stage: Stage) => void | Promise<void>): Fault {
  return {
    name,
    async begin(stage, random) {
      const provider = random.oneOf(stage.providers)
      await spoil(provider, stage)
      return {
        victim: `provider ${stage.providers.indexOf(provider)}`,
        async undo() {
          Object.assign(provider, { misbehaviour: 'none', elsewhere: undefined, forge: undefined })
          await provider.listen()
          return undefined
        },
      }
    },
  }
}

/** What a node says that stopped at the first block; its state, which the driver reads, is the right one. */
const staleHead: NonNullable<Provider['forge']> = async ({ method, params, response, ask }) => {
  if (method === 'eth_blockNumber') return { ...response, result: '0x1' }
  const isHead = method === 'eth_getBlockByNumber' && params[0] === 'latest'
  return isHead ? { ...response, result: await ask('eth_getBlockByNumber', ['0x1', params[1]]) } : response
}

function linksCut(name: string): Fault {
  return {
    name,
    async begin(stage, random) {
      const victim = random.oneOf(stage.middles.all)
      stage.fronts.get(victim)?.cutHalfway()
      return { victim: victim.name, undo: async () => undefined }
    },
  }
}

function clockJumped(name: string, off: number): Fault {
  return {
    name,
    async begin(stage, random) {
      const victim = random.oneOf(stage.relays.all)
      const set = async (to: number) => {
        for (const pid of await stage.pidsOf(victim)) await setClock(stage.folder, pid, to)
      }
      await set(off)
      return { victim: victim.name, undo: async () => void (await set(0)) }
    },
  }
}

function directoryGone(name: string): Fault {
  return {
    name,
    async begin({ directory, middles }, random) {
      const victim = random.oneOf(middles.mortal)
      await directory.refuse()
      await kill(victim)
      await victim.restart()
      return {
        victim: victim.name,
        async undo() {
          await directory.listen()
          return complaint(until('it has a document again', () => isServing(victim), patience))
        },
      }
    },
  }
}

function diskFull(name: string): Fault {
  return {
    name,
    async begin({ disk, middles }, random) {
      const victim = random.oneOf(middles.mortal)
      await disk?.fill()
      await kill(victim)
      const failure = await complaint(victim.restart())
      return {
        victim: victim.name,
        async undo() {
          await disk?.clear()
          if (failure !== undefined) await victim.restart()
          return failure
        },
      }
    },
  }
}

async function kill({ process }: LocalRelay): Promise<void> {
  process.signal('SIGKILL')
  await process.ended
}

async function isServing({ healthPort, process }: LocalRelay): Promise<boolean> {
  try {
    // A restarted one has another port, if it was given none.
    const port = Number(process.ready.healthPort ?? healthPort)
    return (await fetch(`http://127.0.0.1:${port}/health`)).status === 200
  } catch {
    // Nobody listens any more.
    return false
  }
}

/** The words of a failure; undefined where there is none. */
function complaint(attempt: Promise<unknown>): Promise<string | undefined> {
  return attempt.then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? (error.message.split('\n')[0] ?? error.message) : String(error)),
  )
}

function after<T>(delay: number, value: T): Promise<T> {
  return new Promise((resolve) => setTimeout(resolve, delay, value).unref())
}
