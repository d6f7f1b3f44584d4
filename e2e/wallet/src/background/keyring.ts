/** The wallet's accounts, those of the mnemonic that every Ethereum developer knows, and what they sign. */
import { type Address, type Hex, isAddressEqual, isHex, type LocalAccount, recoverMessageAddress, toHex } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { invalidParams, unauthorized } from '../rpcError.ts'
import type { Permissions } from './permissions.ts'
import type { Prompts } from './prompts.ts'

const mnemonic = 'test test test test test test test test test test test junk'
const accounts: readonly LocalAccount[] = [0, 1, 2].map((addressIndex) => mnemonicToAccount(mnemonic, { addressIndex }))

/** Lower case, as MetaMask tells them to dapps. */
export const addresses = accounts.map(({ address }) => address.toLowerCase() as Address)

export interface Keyring {
  /** @throws RpcError 4100 where the origin may not use it */
  account(origin: string, address: unknown): Promise<LocalAccount>
  personalSign(origin: string, params: unknown): Promise<Hex>
  signTypedData(origin: string, params: unknown): Promise<Hex>
  recover(params: unknown): Promise<Address>
}

export function createKeyring(permissions: Permissions, prompts: Prompts): Keyring {
  async function account(origin: string, address: unknown): Promise<LocalAccount> {
    const allowed = await permissions.accounts(origin)
    const found = accounts.find((candidate) => isHex(address) && isSame(candidate.address, address))
    if (found === undefined || !allowed.some((each) => isSame(each, found.address))) throw unauthorized()
    return found
  }

  return {
    account,
    async personalSign(origin, params) {
      const [message, address] = personalParams(params)
      const signer = await account(origin, address)
      await prompts.ask(origin, 'personal_sign', { kind: 'sign', account: signer.address, message: readable(message) })
      return signer.signMessage({ message: { raw: message } })
    },
    async signTypedData(origin, params) {
      const [address, json] = Array.isArray(params) ? params : []
      const signer = await account(origin, address)
      const message = typeof json === 'string' ? json : JSON.stringify(json)
      const typedData = parseTypedData(message)
      await prompts.ask(origin, 'eth_signTypedData_v4', { kind: 'sign', account: signer.address, message })
      return signer.signTypedData(typedData)
    },
    async recover(params) {
      const [message, signature] = personalParams(params)
      return recoverMessageAddress({ message: { raw: message }, signature: signature as Hex })
    },
  }
}

function isSame(a: Hex, b: Hex): boolean {
  return a.length === 42 && b.length === 42 && isAddressEqual(a, b)
}

/** The message as bytes, and what follows it. Some dapps send an account first; MetaMask sees that by its form. */
function personalParams(params: unknown): [Hex, unknown] {
  const [first, second] = Array.isArray(params) ? params : []
  if (typeof first !== 'string') throw invalidParams('Expected a message.')
  const isSwapped = /^0x[0-9a-f]{40}$/i.test(first) && !/^0x[0-9a-f]{40}$/i.test(String(second))
  const message = isSwapped ? String(second) : first
  return [isHex(message) ? message : toHex(message), isSwapped ? first : second]
}

function readable(message: Hex): string {
  const bytes = Uint8Array.from(message.slice(2).match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return message
  }
}

type TypedData = Parameters<LocalAccount['signTypedData']>[0]

function parseTypedData(json: string): TypedData {
  try {
    return JSON.parse(json) as TypedData
  } catch {
    throw invalidParams('Expected EIP-712 typed data.')
  }
}
