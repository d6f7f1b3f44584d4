/** A wallet that is asked to change its RPC provider, over an external port or in the page, and answers as told. */
import { NightjarError } from '@nightjar/shared/errors'
import type { WalletAnswer, WalletOptions, WalletRequest } from '../connection/wallet.ts'
import { ScriptedPort } from './ports.ts'

/** `silent`: shows its dialog and waits. `absent`: no extension has the id. */
export type Mood = 'approves' | 'silent' | 'absent' | { readonly code: number; readonly message?: string }

interface Posted {
  readonly name: string
  readonly data: { readonly id: number } & WalletRequest
}

export class ScriptedWallet implements Omit<WalletOptions, 'clock'> {
  mood: Mood = 'approves'
  /** What the active tab's page answers; undefined where it has no provider. */
  page: WalletAnswer | undefined
  readonly ports: ScriptedPort[] = []
  readonly askedIds: string[] = []
  /** Each question, whoever it was put to. */
  readonly asked: WalletRequest['params'][0][] = []
  /** How many were put to the page. */
  pageAsked = 0

  readonly connect = (walletId: string): ScriptedPort => {
    this.askedIds.push(walletId)
    const port = new ScriptedPort()
    this.ports.push(port)
    if (this.mood === 'absent') queueMicrotask(() => port.close())
    port.onPosted = (message) => {
      if (this.mood === 'absent') return
      const { data } = message as Posted
      this.asked.push(data.params[0])
      // As MetaMask does on connecting: not every message is an answer.
      port.receive({ name: 'metamask-provider', data: { method: 'metamask_accountsChanged', params: [] } })
      if (this.mood === 'approves') this.answer({ result: null })
      else if (typeof this.mood === 'object') this.answer({ error: this.mood })
    }
    return port
  }

  readonly askPage = async (request: WalletRequest): Promise<WalletAnswer> => {
    this.pageAsked += 1
    if (this.page === undefined) throw new NightjarError('wallet-absent')
    this.asked.push(request.params[0])
    return this.page
  }

  /** The user deals with the dialog that is open. */
  answer(answer: WalletAnswer): void {
    this.ports.at(-1)?.receive({ name: 'metamask-provider', data: { jsonrpc: '2.0', id: 1, ...answer } })
  }

  /** Chains that were asked for, in their order. */
  get chains(): number[] {
    return this.asked.map(({ chainId }) => Number(chainId))
  }

  /** Whether a dialog is open. */
  get isAsking(): boolean {
    return this.ports.at(-1)?.isOpen === true
  }

  vanish(): void {
    for (const port of this.ports) port.vanish()
  }
}
