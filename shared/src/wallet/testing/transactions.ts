/** Signed transactions of every type, made by viem. */
import type { Hex } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'

export const signer = privateKeyToAccount(`0x${'11'.repeat(32)}`)
export const authority = privateKeyToAccount(`0x${'22'.repeat(32)}`)
export const to: Hex = `0x${'33'.repeat(20)}`
const data: Hex = `0xa9059cbb${'0'.repeat(24)}${'44'.repeat(20)}${'0'.repeat(63)}1`
const fees = { maxFeePerGas: 30_000_000_000n, maxPriorityFeePerGas: 1_000_000_000n, gas: 50_000n }
const some = { nonce: 7, to, data, value: 10n ** 18n, gas: 50_000n }
const accessList = [{ address: `0x${'55'.repeat(20)}`, storageKeys: [`0x${'66'.repeat(32)}`] }] as const
const blobVersionedHashes: Hex[] = [`0x01${'77'.repeat(31)}`]
const blob = { type: 'eip4844', chainId: 1, ...some, ...fees, maxFeePerBlobGas: 5n, blobVersionedHashes } as const
const sidecar = {
  blob: `0x${'88'.repeat(131_072)}`,
  commitment: `0x${'99'.repeat(48)}`,
  proof: `0x${'aa'.repeat(48)}`,
} as const

export const signed: Readonly<Record<string, () => Promise<Hex>>> = {
  'legacy before EIP-155': () => signer.signTransaction({ type: 'legacy', ...some, gasPrice: 20_000_000_000n }),
  legacy: () => signer.signTransaction({ type: 'legacy', chainId: 1, ...some, gasPrice: 20_000_000_000n }),
  'legacy on a chain with a large id': () =>
    signer.signTransaction({ type: 'legacy', chainId: 11_155_111, ...some, gasPrice: 20_000_000_000n }),
  'EIP-2930': () => signer.signTransaction({ type: 'eip2930', chainId: 1, ...some, gasPrice: 2n, accessList }),
  'EIP-1559': () => signer.signTransaction({ type: 'eip1559', chainId: 1, ...some, ...fees, accessList }),
  'EIP-4844': () => signer.signTransaction(blob),
  'EIP-4844 with its sidecar': () => signer.signTransaction({ ...blob, sidecars: [sidecar] }),
  'EIP-7702': async () => {
    const authorization = await authority.signAuthorization({ address: `0x${'bb'.repeat(20)}`, chainId: 1, nonce: 0 })
    const more = await authority.signAuthorization({ address: `0x${'bb'.repeat(20)}`, chainId: 0, nonce: 300 })
    const authorizationList = [authorization, more]
    return signer.signTransaction({ type: 'eip7702', chainId: 1, ...some, ...fees, authorizationList })
  },
}
