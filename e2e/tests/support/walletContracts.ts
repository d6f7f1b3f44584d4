/** The contracts that wallets ask about many accounts at once, put on a local node where mainnet has them. */
import type { Hex } from 'viem'
import { deploy, resultOf } from './chain.ts'

export const balanceChecker = '0xb1f8e55c7f64d203c1400b9d8555d050f94adf39'
export const multicall3 = '0xca11bde05977b3631167028862be2a173976ca11'
/** Its balances are hashes of what is asked: every account has another one. */
export const token = '0x7777777777777777777777777777777777777777'

/** The balance checker as far as ether goes: `balances(address[] users, [0])` is the balance of each. */
const etherChecker: Hex = `0x${[
  '6020600052', // MSTORE(0, 0x20): where the array is
  '604435',
  '80',
  '602052', // its length: that of the users
  '60051b',
  '6000', // [bytes of users, bytes done]
  '5b',
  '81',
  '81',
  '14',
  '6029',
  '57', // loop: done?
  '80',
  '6064',
  '01',
  '35',
  '31', // BALANCE of the next user
  '81',
  '6040',
  '01',
  '52', // MSTORE(0x40 + done)
  '6020',
  '01',
  '6011',
  '56', // done += 32; loop
  '5b',
  '50',
  '6040',
  '01',
  '6000',
  'f3', // RETURN(0, 0x40 + bytes)
].join('')}`
/** Deploys what emits its first two words as topics. */
export const loggerCode: Hex = '0x600c80600b6000396000f360203560003560006000a200'
/** Deploys what reverts with the first four bytes that it is asked. */
export const refuserCode: Hex = '0x600c80600b6000396000f36004600060003760046000fd'
const hasher: Hex = '0x3660006000373660002060005260206000f3'

export async function placeWalletContracts(node: string): Promise<void> {
  await resultOf(node, 'anvil_setCode', [balanceChecker, etherChecker])
  await resultOf(node, 'anvil_setCode', [token, hasher])
  const deployed = await deploy(node, await multicallCode())
  await resultOf(node, 'anvil_setCode', [multicall3, await resultOf(node, 'eth_getCode', [deployed, 'latest'])])
  // anvil counts what is put there into the newest block, whose root it does not change: nobody can prove anything of those.
  for (let block = 0; block < 3; block++) await resultOf(node, 'evm_mine')
}

/** viem has the code, as `call` deploys it where a chain lacks it, and does not export it. */
async function multicallCode(): Promise<Hex> {
  const file = new URL('../../../node_modules/viem/_esm/constants/contracts.js', import.meta.url)
  const { multicall3Bytecode } = (await import(file.href)) as { readonly multicall3Bytecode: Hex }
  return multicall3Bytecode
}
