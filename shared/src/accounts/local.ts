/** Which calls a watched account's state answers, and how a node would. */
import { emptyCodeHash } from '../proofs/index.ts'
import type { Call, Json, Outcome } from '../rpc/index.ts'
import type { Address } from '../wallet/index.ts'
import { isObject } from './json.ts'
import type { State } from './state.ts'

export interface LocalQuestion {
  readonly account: Address
  readonly what: 'balance' | 'nonce' | 'code' | 'checked-balance'
  readonly block: number | 'latest'
}

const methods: ReadonlyMap<string, LocalQuestion['what']> = new Map([
  ['eth_getBalance', 'balance'],
  ['eth_getTransactionCount', 'nonce'],
  ['eth_getCode', 'code'],
] as const)

/**
 * Where MetaMask finds the balance checker (@metamask/assets-controllers, SINGLE_CALL_BALANCES_ADDRESS_BY_CHAINID); on test
 * chains, where mainnet has it.
 */
const onMainnet = '0xb1f8e55c7f64d203c1400b9d8555d050f94adf39'
const onMany = '0x6aa75276052d96696134252587894ef5ffa520af'
const checkers: ReadonlyMap<number, string> = new Map([
  [1, onMainnet],
  [10, '0xb1c568e9c3e6bdaf755a60c7418c269eb11524fc'],
  [25, '0x768ca200f0fc702ac9ea502498c18f5eff176378'],
  [56, '0x2352c63a83f9fd126af8676146721fa00924d7e4'],
  [100, onMany],
  [137, '0x2352c63a83f9fd126af8676146721fa00924d7e4'],
  [250, onMany],
  [324, '0x458fed3144680a5b8bcfaa0f9594aa19b4ea2d34'],
  [1101, onMany],
  [1284, onMany],
  [1285, onMany],
  [8453, onMany],
  [31337, onMainnet],
  [42161, '0x151e24a486d7258dd7c33fb67e4bb01919b7b32c'],
  [42220, onMany],
  [43114, '0xd023d153a0dfa485130ecfde2faa7e612ef94818'],
  [59140, '0x10dad7ca3921471f616db788d9300dc97db01783'],
  [59144, '0xf62e6a41561b3650a69bb03199c735e3e3328c0d'],
  [1313161554, '0x1286415d333855237f89df27d388127181448538'],
])

/** `balances(address[], address[])` of one account and of ether alone: offsets, one user, one token of zero. */
const etherOfOne = new RegExp(
  `^0xf0002ea9${word('40')}${word('80')}${word('1')}0{24}([0-9a-f]{40})${word('1')}${word('0')}$`,
  'i',
)

export function localQuestionOf(chain: number, call: Call): LocalQuestion | undefined {
  const { method, params } = call
  if (!Array.isArray(params) || params.length < 1 || params.length > 2) return undefined
  const [subject, at] = params as readonly Json[]
  const block = blockOf(at)
  if (block === undefined) return undefined
  if (method === 'eth_call') {
    const account = checkedAccount(chain, subject)
    return account === undefined ? undefined : { account, what: 'checked-balance', block }
  }
  const what = methods.get(method)
  if (what === undefined || typeof subject !== 'string' || !/^0x[0-9a-f]{40}$/i.test(subject)) return undefined
  return { account: subject.toLowerCase() as Address, what, block }
}

/** Undefined where the state does not say: of code, only that there is none. */
export function answerOf({ what }: LocalQuestion, state: State): Outcome | undefined {
  switch (what) {
    case 'balance':
      return { result: state.balance }
    case 'nonce':
      return { result: state.nonce }
    case 'code':
      return state.codeHash === emptyCodeHash ? { result: '0x' } : undefined
    case 'checked-balance':
      return { result: `0x${word('20')}${word('1')}${word(state.balance.slice(2))}` }
  }
}

/** A transaction as one that is in no block yet: the wallet is told of its block and of its receipt together. */
export function withoutBlock(outcome: Outcome): Outcome {
  const transaction = 'result' in outcome ? outcome.result : null
  if (!isObject(transaction)) return outcome
  return { result: { ...transaction, blockHash: null, blockNumber: null, transactionIndex: null } }
}

function blockOf(value: Json | undefined): LocalQuestion['block'] | undefined {
  if (value === undefined || value === 'latest') return 'latest'
  return typeof value === 'string' && /^0x(0|[1-9a-f][0-9a-f]{0,12})$/i.test(value) ? Number(value) : undefined
}

/** Whose ether the message asks of the balance checker, if it asks for nothing else and in nobody's name. */
function checkedAccount(chain: number, message: Json | undefined): Address | undefined {
  if (!isObject(message)) return undefined
  const { to, data, input, ...rest } = message
  if (typeof to !== 'string' || to.toLowerCase() !== checkers.get(chain) || Object.keys(rest).length > 0)
    return undefined
  const calldata = data ?? input
  if (typeof calldata !== 'string' || (data !== undefined && input !== undefined && data !== input)) return undefined
  const account = etherOfOne.exec(calldata)?.[1]
  return account === undefined ? undefined : `0x${account.toLowerCase()}`
}

function word(digits: string): string {
  return digits.padStart(64, '0')
}
