/** The wallet's home: accounts and what they hold. The chains are polled as long as it is open. */
import type { Network, PollResult, Snapshot } from '../ui.ts'
import { connect, send } from './background.ts'
import { element } from './dom.ts'
import { lockedView } from './locked.ts'

const main = document.querySelector('main') as HTMLElement

connect('home', { onSnapshot: showSnapshot })

function showSnapshot(snapshot: Snapshot): void {
  // For tests: how many polls were made.
  document.body.dataset.polled = String(snapshot.polled)
  main.replaceChildren(...(snapshot.isUnlocked ? home(snapshot) : lockedView()))
}

function home({ accounts, networks, polls }: Snapshot): readonly Node[] {
  return [
    element(
      'div',
      { class: 'row' },
      element('h1', {}, 'Stand-in wallet'),
      element('button', { testId: 'lock', onClick: () => void send({ command: 'lock' }) }, 'Lock'),
    ),
    element('p', { class: 'quiet' }, 'A wallet for tests and demonstrations. Everybody knows its keys.'),
    ...networks.map((network) => networkCard(network, polls[network.chainId], accounts)),
    element('p', {}, element('a', { href: 'settings.html', target: '_blank' }, 'Networks and settings')),
  ]
}

function networkCard(network: Network, poll: PollResult | undefined, accounts: Snapshot['accounts']): Node {
  const { name, chainId, symbol, endpoints, defaultEndpoint } = network
  return element(
    'section',
    { class: 'card', testId: `network-${chainId}` },
    element(
      'div',
      { class: 'row' },
      element('strong', {}, name),
      element('span', { class: 'quiet' }, poll?.block === undefined ? '' : `block ${Number(poll.block)}`),
    ),
    element('p', { class: 'quiet' }, `over ${endpoints[defaultEndpoint]?.name}`),
    ...accounts.map((account, index) =>
      element(
        'div',
        { class: 'row' },
        element('code', {}, account),
        element('span', { testId: `balance-${chainId}-${index}` }, balance(poll?.balances[account], symbol)),
      ),
    ),
    element('p', { class: 'problem', testId: `problem-${chainId}` }, poll?.problem ?? ''),
  )
}

function balance(ether: string | undefined, symbol: string): string {
  return ether === undefined ? '–' : `${Number(ether).toLocaleString('en', { maximumFractionDigits: 4 })} ${symbol}`
}
