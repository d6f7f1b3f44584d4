/** Accounts, transactions and contracts on the local nodes. */
import { type Hex, type LocalAccount, parseGwei } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { post, until } from '../../src/network/index.ts'

/** Accounts that anvil has funded: those of its well-known mnemonic. */
export function fundedAccount(addressIndex: number): LocalAccount {
  return mnemonicToAccount('test test test test test test test test test test test junk', { addressIndex })
}

/** An address that no node has ever seen. */
export const stranger: Hex = '0x00000000000000000000000000000000c0ffee00'

/** A signed transfer of one wei. */
export function signTransfer(account: LocalAccount, chainId: number, nonce: number): Promise<Hex> {
  return account.signTransaction({
    chainId,
    nonce,
    to: stranger,
    value: 1n,
    gas: 21_000n,
    maxFeePerGas: parseGwei('100'),
    maxPriorityFeePerGas: parseGwei('1'),
  })
}

/** Runs `runtime`: the code that copies it to memory and returns it. */
function deploying(runtime: string): Hex {
  const length = (runtime.length / 2).toString(16).padStart(2, '0')
  //           PUSH1 len  DUP1  PUSH1 11  PUSH1 0  CODECOPY  PUSH1 0  RETURN
  return `0x60${length}80600b6000396000f3${runtime}`
}

/** Answers with its own input, or reverts with it where it begins with ff. */
export const echoContract = deploying(
  // CALLDATACOPY all to 0; size and offset for the end; first byte of the input == ff ? REVERT : RETURN
  '3660006000373660006000' + '3560f81c60ff14601657f35bfd',
)

/** Each call emits 20 logs of 32 KiB, with the number of the log as topic and first word. */
export const loudContract = deploying(
  // 20; loop: MSTORE n at 0; LOG1(0, 0x8000, n); n - 1; until 0
  '60145b806000528061800060' + '00a1600190038060025700',
)

/** Deploys `code` directly at the node; returns its address. */
export async function deploy(node: string, code: Hex): Promise<Hex> {
  const receipt = await sendAndWait(node, { data: code })
  return receipt.contractAddress as Hex
}

export interface Receipt {
  readonly status: Hex
  readonly contractAddress: Hex | null
  readonly blockNumber: Hex
  readonly from: Hex
}

/** Sends from an unlocked account of the node itself, directly. */
export async function sendAndWait(node: string, transaction: { to?: Hex; data?: Hex }): Promise<Receipt> {
  const { address } = fundedAccount(9)
  const gas = '0x1c00000'
  const hash = await resultOf(node, 'eth_sendTransaction', [{ from: address, gas, ...transaction }])
  const receipt = await receiptOf(node, hash as Hex)
  if (receipt.status !== '0x1') throw new Error('a transaction of the test itself failed')
  return receipt
}

/** The receipt that the node has, once the transaction is in a block. */
export async function receiptOf(node: string, hash: Hex): Promise<Receipt> {
  let receipt: Receipt | null = null
  await until('the transaction is in a block', async () => {
    receipt = (await resultOf(node, 'eth_getTransactionReceipt', [hash])) as Receipt | null
    return receipt !== null
  })
  return receipt as unknown as Receipt
}

/** The result of a call sent directly to `node`. @throws Error where there is none */
export async function resultOf(node: string, method: string, params: readonly unknown[] = []): Promise<unknown> {
  const answer = (await post(node, { jsonrpc: '2.0', id: 1, method, params })) as { result?: unknown; error?: unknown }
  if (answer.error !== undefined) throw new Error(`${method}: ${JSON.stringify(answer.error)}`)
  return answer.result
}
