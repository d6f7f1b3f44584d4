/**
 * A wallet with several accounts that asks as MetaMask does (facts: docs of the stand-in wallet, metamask.md): polls of
 * all its accounts in one call at a hexadecimal block, and a send with everything around it.
 */
import { encodeFunctionData, erc20Abi, type Hex, keccak256, type LocalAccount, multicall3Abi, parseAbi } from 'viem'
import { until } from '../../src/network/index.ts'
import { resultOf, signTransfer, stranger } from './chain.ts'
import { ask, codeOf, fromWallet, type RpcBody } from './rpc.ts'
import { balanceChecker, multicall3, token } from './walletContracts.ts'

const id = 'nkbihfbeogaeaoehlefnkodbefgpgknn'
const nobody = '0x0000000000000000000000000000000000000000'
const checkerAbi = parseAbi(['function balances(address[] users, address[] tokens) view returns (uint256[])'])

/** What was asked, and what came back. */
export interface Asked {
  readonly method: string
  readonly params: readonly unknown[]
  readonly body: RpcBody
}

export interface Sent {
  readonly hash: Hex
  readonly receipt: { readonly blockNumber: Hex; readonly status: Hex }
  /** By how many blocks the node was further when the wallet had the receipt. */
  readonly late: number
}

export class AccountsWallet {
  /** Everything, in the order of the answers. */
  readonly asked: Asked[] = []
  readonly #url: () => string
  readonly #node: () => string
  #newest = 0
  readonly #chain: number
  readonly #accounts: readonly LocalAccount[]

  /** @param node the URL of the chain's node, which the wallet does not ask */
  constructor(url: () => string, node: () => string, chain: number, accounts: readonly LocalAccount[]) {
    this.#url = url
    this.#node = node
    this.#chain = chain
    this.#accounts = accounts
  }

  async ask(method: string, params: readonly unknown[] = []): Promise<RpcBody> {
    const body = await ask(this.#url(), method, params, fromWallet(id))
    this.asked.push({ method, params, body })
    return body
  }

  /** What comes back for `method`. @throws Error where that is an error */
  async result(method: string, params: readonly unknown[] = []): Promise<unknown> {
    const body = await this.ask(method, params)
    if (body.error !== undefined) throw new Error(`${method}: ${JSON.stringify(body.error)}`)
    return body.result
  }

  /** Waits until the wallet is told another newest block. */
  async nextBlock(): Promise<number> {
    const before = this.#newest
    await until('there is another block', async () => {
      const body = await this.ask('eth_blockNumber')
      if (body.error === undefined) this.#newest = Number(body.result)
      return this.#newest !== before
    })
    return this.#newest
  }

  /** One round of what MetaMask asks while it is open; the bodies of the calls about accounts. */
  async poll(selected = 0): Promise<readonly RpcBody[]> {
    const block = await this.result('eth_blockNumber')
    await this.ask('eth_getBlockByNumber', [block, false])
    const user = this.#accounts[selected]?.address as Hex
    return Promise.all([
      this.ask('eth_call', [this.balances(), block]),
      this.ask('eth_call', [{ to: multicall3, data: multicallOf(user) }, block]),
    ])
  }

  /** Polls until all accounts have been read once. */
  async warmUp(): Promise<void> {
    await until(
      'all accounts are read',
      async () => (await this.poll()).every(({ error }) => error === undefined),
      60_000,
    )
  }

  balances(): { readonly to: Hex; readonly data: Hex } {
    const users = this.#accounts.map(({ address }) => address)
    const data = encodeFunctionData({ abi: checkerAbi, functionName: 'balances', args: [users, [nobody]] })
    return { to: balanceChecker, data }
  }

  /** Sends one wei from an account, and asks for the receipt until it is there. */
  async send(from: number): Promise<Sent> {
    const account = this.#accounts[from] as LocalAccount
    const { address } = account
    const block = await this.result('eth_blockNumber')
    await this.result('eth_getCode', [stranger, block])
    await this.result('eth_getCode', [address, block])
    await this.result('eth_estimateGas', [{ from: address, to: stranger, value: '0x1' }])
    await this.result('eth_gasPrice')
    await this.result('eth_getBalance', [address, block])
    const nonce = Number(await this.result('eth_getTransactionCount', [address, block]))
    const raw = await signTransfer(account, this.#chain, nonce)
    const hash = keccak256(raw)
    if ((await this.result('eth_sendRawTransaction', [raw])) !== hash) throw new Error('another hash')
    let receipt: unknown
    await until('the wallet has the receipt', async () => {
      receipt = await this.result('eth_getTransactionReceipt', [hash])
      return receipt !== null
    })
    const newest = Number(await resultOf(this.#node(), 'eth_blockNumber'))
    const { blockNumber } = receipt as Sent['receipt']
    return { hash, receipt: receipt as Sent['receipt'], late: newest - Number(blockNumber) }
  }

  /** Answers that were no answers, but for those that ask to wait until all accounts are read. */
  failures(): readonly Asked[] {
    return this.asked.filter(({ body }) => body.error !== undefined && codeOf(body) !== 'still-apart')
  }
}

function multicallOf(user: Hex): Hex {
  const ether = encodeFunctionData({ abi: multicall3Abi, functionName: 'getEthBalance', args: [user] })
  const tokens = encodeFunctionData({ abi: erc20Abi, functionName: 'balanceOf', args: [user] })
  return encodeFunctionData({
    abi: multicall3Abi,
    functionName: 'aggregate3',
    args: [
      [
        { target: multicall3, allowFailure: true, callData: ether },
        { target: token, allowFailure: true, callData: tokens },
      ],
    ],
  })
}
