/**
 * The questions that wait for the user, in their order. Of some kinds an origin may have only one. Three rejections in
 * a row have MetaMask take an origin for a spammer; so it is here.
 */
import type { Address } from 'viem'
import { alreadyPending, rejectedByUser, unauthorized } from '../rpcError.ts'
import type { Prompt, Question } from '../ui.ts'
import type { Store } from './store.ts'

export interface Approval {
  /** The accounts that the user chose, where that was asked. */
  readonly accounts?: readonly Address[]
}

export interface Prompts {
  readonly pending: readonly Prompt[]
  /** @throws RpcError 4001 rejected · -32002 one such is pending · 4100 taken for spam */
  ask(origin: string, method: string, question: Question): Promise<Approval>
  approve(id: string, approval: Approval): Promise<void>
  reject(id: string): Promise<void>
  rejectAll(): Promise<void>
}

export const rejectionsForSpam = 3
/** Rejections that lie further apart do not count as in a row. */
const rejectionWindow = 30_000
const spamBlock = 60_000

/** Many of these may wait at once. */
const queued: ReadonlySet<Question['kind']> = new Set(['transaction', 'sign'])
/** These count as spam when they are rejected. */
const countedAsSpam: ReadonlySet<Question['kind']> = new Set(['transaction', 'sign', 'add-network', 'switch-network'])

const refusals: Partial<Record<Question['kind'], string>> = {
  transaction: 'MetaMask Tx Signature: User denied transaction signature.',
  sign: 'MetaMask Message Signature: User denied message signature.',
}

interface Waiting {
  readonly prompt: Prompt
  resolve(approval: Approval): void
  reject(error: Error): void
}

export function createPrompts(store: Store, onChange: () => void): Prompts {
  let waiting: readonly Waiting[] = []

  function take(id: string): Waiting | undefined {
    const taken = waiting.find(({ prompt }) => prompt.id === id)
    waiting = waiting.filter((candidate) => candidate !== taken)
    return taken
  }

  async function settle(taken: Waiting | undefined, answer: (taken: Waiting) => void): Promise<void> {
    if (taken === undefined) return
    answer(taken)
    onChange()
  }

  async function reject(id: string): Promise<void> {
    const taken = take(id)
    if (taken !== undefined && countedAsSpam.has(taken.prompt.kind)) await countRejection(taken.prompt.origin)
    await settle(taken, ({ prompt, reject }) => reject(rejectedByUser(refusals[prompt.kind])))
  }

  async function countRejection(origin: string): Promise<void> {
    const now = Date.now()
    await store.update((state) => {
      const before = state.rejections[origin]
      const count = before !== undefined && now - before.last < rejectionWindow ? before.count + 1 : 1
      return { ...state, rejections: { ...state.rejections, [origin]: { count, last: now } } }
    })
  }

  async function forgetRejections(origin: string): Promise<void> {
    await store.update((state) => {
      const { [origin]: _, ...rejections } = state.rejections
      return { ...state, rejections }
    })
  }

  async function refuseSpam(origin: string, kind: Question['kind']): Promise<void> {
    const rejections = (await store.read()).rejections[origin]
    if (!countedAsSpam.has(kind) || rejections === undefined) return
    if (rejections.count >= rejectionsForSpam && Date.now() - rejections.last <= spamBlock) {
      throw unauthorized('Request blocked due to spam filter.')
    }
  }

  return {
    get pending() {
      return waiting.map(({ prompt }) => prompt)
    },
    async ask(origin, method, question) {
      await refuseSpam(origin, question.kind)
      const isSame = ({ prompt }: Waiting) => prompt.origin === origin && prompt.kind === question.kind
      if (!queued.has(question.kind) && waiting.some(isSame)) throw alreadyPending(method, origin)
      const prompt: Prompt = { ...question, origin, id: crypto.randomUUID() }
      const approval = new Promise<Approval>((resolve, reject) => {
        waiting = [...waiting, { prompt, resolve, reject }]
      })
      onChange()
      return approval
    },
    async approve(id, approval) {
      const taken = take(id)
      if (taken !== undefined && countedAsSpam.has(taken.prompt.kind)) await forgetRejections(taken.prompt.origin)
      await settle(taken, ({ resolve }) => resolve(approval))
    },
    reject,
    async rejectAll() {
      for (const { prompt } of waiting) await reject(prompt.id)
    },
  }
}
