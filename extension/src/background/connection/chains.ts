/**
 * Names and currencies of chains, as a wallet wants to hear them. MetaMask refuses a symbol other than the one it knows
 * for a chain, so these are the ones of its own list.
 */
export interface ChainInfo {
  readonly name: string
  readonly currency: string
  readonly symbol: string
}

const known: Readonly<Record<number, ChainInfo>> = {
  1: { name: 'Ethereum', currency: 'Ether', symbol: 'ETH' },
  10: { name: 'OP Mainnet', currency: 'Ether', symbol: 'ETH' },
  56: { name: 'BNB Smart Chain', currency: 'BNB', symbol: 'BNB' },
  100: { name: 'Gnosis', currency: 'xDAI', symbol: 'XDAI' },
  137: { name: 'Polygon', currency: 'POL', symbol: 'POL' },
  8453: { name: 'Base', currency: 'Ether', symbol: 'ETH' },
  42161: { name: 'Arbitrum One', currency: 'Ether', symbol: 'ETH' },
  43114: { name: 'Avalanche C-Chain', currency: 'Avalanche', symbol: 'AVAX' },
  59144: { name: 'Linea', currency: 'Ether', symbol: 'ETH' },
  11155111: { name: 'Sepolia', currency: 'Sepolia Ether', symbol: 'SepoliaETH' },
  31337: { name: 'Local chain', currency: 'Ether', symbol: 'ETH' },
}

export function chainInfo(id: number): ChainInfo {
  return known[id] ?? { name: `Chain ${id}`, currency: 'Ether', symbol: 'ETH' }
}
