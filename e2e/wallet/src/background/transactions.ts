/**
 * `eth_sendTransaction`: fills in what is missing, asks, signs here and broadcasts, with the requests that MetaMask
 * makes on the way; afterwards asks for the receipt every three seconds.
 */
import { type Address, formatEther, type Hex, hexToBigInt, hexToNumber, pad } from 'viem'
import { invalidParams } from '../rpcError.ts'
import type { Chains } from './chains.ts'
import type { Keyring } from './keyring.ts'
import type { Permissions } from './permissions.ts'
import type { Prompts } from './prompts.ts'

export interface Transactions {
  send(origin: string, params: unknown): Promise<Hex>
}

interface Wanted {
  readonly from: Address
  readonly to: Address | null
  readonly value: bigint
  readonly data: Hex
  readonly gas: bigint | undefined
}

interface Receipt {
  readonly blockHash: Hex
}

const receiptPeriod = 3000
/** ERC-165 `supportsInterface(ERC-721)`, ERC-20 `symbol()` and `decimals()`; `balanceOf(from)` is added. */
const probes: readonly Hex[] = [
  '0x01ffc9a780ac58cd00000000000000000000000000000000000000000000000000000000',
  '0x95d89b41',
  '0x313ce567',
]
const balanceOf: Hex = '0x70a08231'

export function createTransactions(
  chains: Chains,
  permissions: Permissions,
  prompts: Prompts,
  keyring: Keyring,
): Transactions {
  /** Nonces that were used and are in no block yet, by chain and account. */
  const underWay = new Map<string, Set<number>>()

  return {
    async send(origin, params) {
      const wanted = parse(params)
      const signer = await keyring.account(origin, wanted.from)
      const chainId = await permissions.chainId(origin)
      const ask = async <Result>(method: string, ...rest: readonly unknown[]) =>
        (await chains.ask(chainId, method, rest)) as Result

      const { gas, gasPrice } = await prepare(wanted, ask)
      await prompts.ask(origin, 'eth_sendTransaction', {
        kind: 'transaction',
        network: (await chains.network(chainId)).name,
        from: signer.address,
        to: wanted.to,
        value: formatEther(wanted.value),
        fee: formatEther(gas * gasPrice),
        data: wanted.data,
      })

      const nonces = underWay.get(`${chainId} ${wanted.from}`) ?? new Set()
      underWay.set(`${chainId} ${wanted.from}`, nonces)
      let nonce = hexToNumber(await ask<Hex>('eth_getTransactionCount', wanted.from, 'latest'))
      while (nonces.has(nonce)) nonce++
      nonces.add(nonce)
      const raw = await signer.signTransaction({
        type: 'legacy',
        chainId: hexToNumber(chainId),
        nonce,
        gas,
        gasPrice,
        to: wanted.to,
        value: wanted.value,
        data: wanted.data,
      })
      try {
        const hash = await ask<Hex>('eth_sendRawTransaction', raw)
        void follow(hash, ask).finally(() => nonces.delete(nonce))
        return hash
      } catch (error) {
        nonces.delete(nonce)
        throw error
      }
    },
  }
}

type Ask = <Result>(method: string, ...params: readonly unknown[]) => Promise<Result>

/** What it takes to show the transaction to the user. */
async function prepare({ from, to, value, data, gas }: Wanted, ask: Ask): Promise<{ gas: bigint; gasPrice: bigint }> {
  const transaction = { from, ...(to === null ? {} : { to }), value: `0x${value.toString(16)}`, data }
  await Promise.all([from, ...(to === null ? [] : [to])].map((party) => ask('eth_getCode', party, 'latest')))
  const estimate = hexToBigInt(await ask<Hex>('eth_estimateGas', transaction))
  const gasPrice = hexToBigInt(await ask<Hex>('eth_gasPrice'))
  await ask('eth_getBalance', from, 'latest')
  if (to !== null) {
    const calls = [...probes, `${balanceOf}${pad(from).slice(2)}`]
    // Most recipients are no token and answer nothing or an error, which is an answer too.
    await Promise.allSettled(calls.map((call) => ask('eth_call', { to, data: call }, 'latest')))
  }
  // What a contract needs may grow until the block.
  return { gas: gas ?? (data === '0x' ? estimate : (estimate * 3n) / 2n), gasPrice }
}

/** Looks for the receipt until it is there; an endpoint that fails meanwhile is asked again. */
async function follow(hash: Hex, ask: Ask): Promise<void> {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, receiptPeriod))
    const [receipt] = await Promise.allSettled([ask<Receipt | null>('eth_getTransactionReceipt', hash)])
    if (receipt.status === 'rejected' || receipt.value === null) continue
    await Promise.allSettled([ask('eth_getBlockByHash', receipt.value.blockHash, false)])
    return
  }
}

function parse(params: unknown): Wanted {
  const [transaction] = (Array.isArray(params) ? params : []) as readonly Readonly<Record<string, Hex>>[]
  if (transaction === undefined || typeof transaction.from !== 'string') {
    throw invalidParams('Expected a transaction with "from".')
  }
  const { from, to, value = '0x0', data, input, gas, gasLimit } = transaction
  const limit = gas ?? gasLimit
  return {
    from: from.toLowerCase() as Address,
    to: (to ?? null) as Address | null,
    value: hexToBigInt(value),
    data: data ?? input ?? '0x',
    gas: limit === undefined ? undefined : hexToBigInt(limit),
  }
}
