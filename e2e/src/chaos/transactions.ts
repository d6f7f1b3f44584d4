/** Transactions of a chaos run: one per account, so that what the chain node says of the account tells how often it was accepted. */
import { writeFile } from 'node:fs/promises'
import { type Hex, keccak256, parseGwei, toHex } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { call, type Provider } from '../network/index.ts'

export interface Transfer {
  readonly from: Hex
  readonly raw: Hex
  readonly hash: Hex
}

/** Nobody else sends it anything. */
export const receiver: Hex = '0x00000000000000000000000000000000c4a05000'

const funds = toHex(10n ** 18n)

/** Signs `count` transfers of one wei, of as many accounts that it funds, and writes them one per line. */
export async function makeTransfers(node: string, chainId: number, count: number, file: string): Promise<Transfer[]> {
  const transfers: Transfer[] = []
  for (let index = 0; index < count; index++) {
    const account = privateKeyToAccount(keccak256(toHex(`nightjar chaos ${index}`)))
    await resultOf(node, 'anvil_setBalance', [account.address, funds])
    const raw = await account.signTransaction({
      chainId,
      nonce: 0,
      to: receiver,
      value: 1n,
      gas: 21_000n,
      maxFeePerGas: parseGwei('100'),
      maxPriorityFeePerGas: parseGwei('1'),
    })
    transfers.push({ from: account.address, raw, hash: keccak256(raw) })
  }
  await writeFile(file, transfers.map(({ raw }) => `${raw}\n`).join(''))
  return transfers
}

export interface Acceptance {
  readonly sent: number
  /** Those that the client was told to be accepted. */
  readonly confirmed: number
  /** Those that are in a block. */
  readonly accepted: number
  /** Told to be accepted, and in no block. */
  readonly missing: number
  /** Accounts whose nonce or whose part of the receiver's balance says more than once. */
  readonly twice: number
}

/** What the chain says. @param outcomes what the client was told, by the place of the transfer in the list */
export async function checkTransfers(
  node: string,
  transfers: readonly Transfer[],
  outcomes: ReadonlyMap<number, string>,
): Promise<Acceptance> {
  let [accepted, missing, confirmed, twice] = [0, 0, 0, 0]
  for (const [index, outcome] of outcomes) {
    const { from, hash } = transfers[index] as Transfer
    const receipt = (await resultOf(node, 'eth_getTransactionReceipt', [hash])) as { status: string } | null
    const nonce = Number(await resultOf(node, 'eth_getTransactionCount', [from, 'latest']))
    if (outcome === 'ok') confirmed += 1
    if (receipt?.status === '0x1') accepted += 1
    else if (outcome === 'ok') missing += 1
    if (nonce > 1) twice += 1
  }
  const received = Number(await resultOf(node, 'eth_getBalance', [receiver, 'latest']))
  return { sent: outcomes.size, confirmed, accepted, missing, twice: twice + Math.max(0, received - accepted) }
}

/** How often providers got each transaction. More than once is no fault where a gateway or a provider failed. */
export class Submissions {
  readonly #times: Map<string, number>

  constructor(transfers: readonly Transfer[]) {
    this.#times = new Map(transfers.map(({ raw }) => [raw, 0]))
  }

  get most(): number {
    return Math.max(0, ...this.#times.values())
  }

  /** Counts what providers have recorded, and has them forget it, so that a long run needs no more memory. */
  take(providers: readonly Provider[]): void {
    for (const provider of providers) {
      for (const { body } of provider.seen) {
        if (!body.includes('eth_sendRawTransaction')) continue
        const raw = (JSON.parse(body) as { params: [string] }).params[0]
        const times = this.#times.get(raw)
        if (times !== undefined) this.#times.set(raw, times + 1)
      }
      provider.forget()
    }
  }
}

async function resultOf(node: string, method: string, params: readonly unknown[]): Promise<unknown> {
  const answer = (await call(node, method, params)) as { result?: unknown; error?: unknown }
  if (answer.error !== undefined) throw new Error(`${method}: ${JSON.stringify(answer.error)}`)
  return answer.result
}
