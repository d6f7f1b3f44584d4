import type { ChainView } from '../messages/ui.ts'
import { chainStates, chainWallet, chains as texts } from '../ui/texts.ts'

/** As many as may stand open without pushing the rest away. */
const unfolded = 3

export function Chains({ chains }: { readonly chains: readonly ChainView[] }) {
  const served = chains.filter((chain) => chain.state === 'served').length
  return (
    <details class="card chains" open={chains.length <= unfolded}>
      <summary>
        {texts.title} <span class="aside">{texts.served(served, chains.length)}</span>
      </summary>
      <ul>
        {chains.map((chain) => (
          <li key={chain.id}>
            <span class="chain-name">{chain.name}</span>
            <span class={`chain-state chain-${chain.state}`}>{chainStates[chain.state]}</span>
            <span class={`chain-state chain-${chain.wallet}`}>{chainWallet[chain.wallet]}</span>
          </li>
        ))}
      </ul>
    </details>
  )
}
