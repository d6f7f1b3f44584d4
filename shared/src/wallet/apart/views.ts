/**
 * Functions that only read: what one of them answers does not depend on what was called before it in the same batch. A
 * batch that is taken apart may hold no other, as an unknown function may write what a later one reads.
 *
 * Known by selector, as the contract's code is not at hand: a token that writes in `balanceOf`, or answers by the gas
 * that is left, would answer otherwise in parts than in one piece.
 */
import { keccak_256 } from '@noble/hashes/sha3.js'
import { bytesToHex } from '@noble/hashes/utils.js'

const signatures = [
  // ERC-20, its metadata and permits (ERC-2612, ERC-5267)
  ...['name()', 'symbol()', 'decimals()', 'totalSupply()', 'balanceOf(address)', 'allowance(address,address)'],
  ...['nonces(address)', 'DOMAIN_SEPARATOR()', 'eip712Domain()'],
  // ERC-165, ERC-721, ERC-1155
  ...['supportsInterface(bytes4)', 'ownerOf(uint256)', 'tokenURI(uint256)', 'getApproved(uint256)'],
  ...['isApprovedForAll(address,address)', 'tokenOfOwnerByIndex(address,uint256)', 'tokenByIndex(uint256)'],
  ...['balanceOf(address,uint256)', 'balanceOfBatch(address[],uint256[])', 'uri(uint256)'],
  // ERC-4626
  ...['asset()', 'totalAssets()', 'convertToAssets(uint256)', 'convertToShares(uint256)', 'maxDeposit(address)'],
  ...['maxMint(address)', 'maxWithdraw(address)', 'maxRedeem(address)', 'previewDeposit(uint256)'],
  ...['previewMint(uint256)', 'previewWithdraw(uint256)', 'previewRedeem(uint256)'],
  // ENS: registry and resolvers
  ...['owner(bytes32)', 'resolver(bytes32)', 'addr(bytes32)', 'addr(bytes32,uint256)', 'name(bytes32)'],
  ...['text(bytes32,string)', 'contenthash(bytes32)'],
  // Prices
  ...[
    'latestAnswer()',
    'latestRoundData()',
    'getReserves()',
    'slot0()',
    'liquidity()',
    'token0()',
    'token1()',
    'fee()',
  ],
  // Multicall3
  ...['getEthBalance(address)', 'getBlockNumber()', 'getBlockHash(uint256)', 'getLastBlockHash()', 'getChainId()'],
  ...['getCurrentBlockTimestamp()', 'getCurrentBlockGasLimit()', 'getCurrentBlockCoinbase()', 'getBasefee()'],
  ...['getCurrentBlockDifficulty()'],
]

/** Four bytes. */
export const selectorDigits = 8

const selectors: ReadonlySet<string> = new Set(signatures.map(selectorOf))

export const view = { getEthBalance: selectorOf('getEthBalance(address)') } as const

/** @param data calldata, digits without 0x */
export function isView(data: string): boolean {
  return selectors.has(data.slice(0, selectorDigits).toLowerCase())
}

/** The four bytes by which calldata names a function, as digits. */
export function selectorOf(signature: string): string {
  const ascii = Uint8Array.from(signature, (character) => character.charCodeAt(0))
  return bytesToHex(keccak_256(ascii).subarray(0, 4))
}
