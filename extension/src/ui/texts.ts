/**
 * What the pages say, in one place (the settings page: options/texts.ts). Each claim here has to be true by "Who sees what" in docs/threat-model.md. What
 * went wrong is said by the sentences of the table of errors, not here.
 */
import type { ErrorCode } from '@nightjar/shared/errors'
import type { ChainView, Choice, Step, StepId, UiState } from '../messages/ui.ts'

/** MetaMask's id in the Chrome Web Store. */
export const metaMaskId = 'nkbihfbeogaeaoehlefnkodbefgpgknn'

export const headlines: Record<UiState, string> = {
  off: 'Off',
  connecting: 'Going private',
  private: 'Private',
  degraded: 'Partly private',
  blocked: 'Blocked',
}

export const stepTexts: Record<StepId, { readonly label: string; readonly note?: string }> = {
  host: { label: 'Start the Nightjar program' },
  network: { label: 'Check the network document' },
  trunks: { label: 'Build two paths' },
  gateways: { label: 'Ask a gateway for each chain' },
  shield: { label: 'Put the shield up' },
  endpoint: { label: 'Check the endpoint' },
  wallet: { label: 'Ask MetaMask to use it', note: 'Approve both dialogs.' },
  watch: { label: 'See MetaMask’s first request' },
}

/** Said to screen readers beside the icon. */
export const stepStates: Record<Step['state'], string> = {
  waiting: 'waiting',
  running: 'running',
  done: 'done',
  failed: 'failed',
}

export type DoorId = 'sites' | 'wallet' | 'servers'

export const doorNames: Record<DoorId, string> = {
  sites: 'Sites',
  wallet: 'MetaMask’s RPC',
  servers: 'Wallet and RPC servers',
}

/** `waiting`: set up, and nothing came yet. `direct`: goes to where it went before Nightjar. */
export type DoorState = 'open' | 'waiting' | 'closed' | 'direct'

export const doorStates: Record<DoorState, string> = {
  open: 'private',
  waiting: 'waiting',
  closed: 'closed',
  direct: 'not private',
}

export const doorDetails = {
  sites: 'What they ask through the wallet.',
  someSites: 'What the sites you chose ask.',
  nothingSent: 'Nothing is sent.',
  walletUnasked: 'Not set up. MetaMask asks its own RPC provider, which sees your IP address and accounts.',
  walletStale: 'It asks while its window is open.',
  walletUnseen: 'Set up, but no request has come yet. Open MetaMask once.',
  walletQuiet: 'Set up. No request since the start.',
  walletCutOff: 'Its requests do not reach Nightjar.',
  lastRequest: 'Last request',
  shieldUp: (connections: string) => `${connections} today.`,
  shieldDown: 'The shield is not up: MetaMask’s own servers and RPC providers see your IP address.',
  shieldClosed: 'The shield is up and leads nowhere now. Nothing is sent.',
} as const

export const chainStates: Record<ChainView['state'], string> = {
  unchecked: 'not checked yet',
  served: 'served',
  unserved: 'no gateway',
}

export const chainWallet: Record<ChainView['wallet'], string> = {
  unasked: 'MetaMask not set',
  agreed: 'MetaMask set',
}

export const actions = {
  connect: 'Go private',
  cancel: 'Cancel',
  retry: 'Retry',
  disconnect: 'Turn off',
  stay: 'Stay on',
  reload: 'Reload tab',
  settings: 'Settings',
  setup: 'How to install it',
  options: 'Open the settings',
} as const

/** Where a problem is put right on one of our pages. */
export const remedies: Partial<Record<ErrorCode, 'setup' | 'options'>> = {
  'host-not-installed': 'setup',
  'host-forbidden': 'setup',
  'host-outdated': 'setup',
  'no-directory-keys': 'options',
  'wallet-absent': 'options',
  'wallet-failed': 'options',
}

export const summaries = {
  off: 'Your wallet asks its RPC provider directly. The provider sees your IP address and your accounts.',
  offButSet: 'Sites are not private. MetaMask still asks Nightjar’s endpoint, unless you put it back.',
  connecting: (at: number, of: number) => `Step ${at} of ${of}`,
  stopped: (at: number, of: number) => `Stopped at step ${at} of ${of}`,
  private: 'Sites and MetaMask ask the chains below over relays.',
  privateUnseen: 'Sites ask over relays. MetaMask has not asked yet.',
  privateSites: 'Sites ask over relays. MetaMask does not.',
  degraded: 'Sites are private. Something else is not.',
  blocked: 'What Nightjar covers is stopped. Nothing of it goes direct.',
  loading: 'Asking how things are',
} as const

export const whatItDoes =
  'What sites and MetaMask ask the chain, and what MetaMask asks its own servers, goes over relays. No single party sees both who asks and what is asked.'

export const notCovered = {
  title: 'Not covered',
  unlisted: 'Direct requests of MetaMask to hosts that are not on the list cannot be seen.',
  sites: 'What a site loads or asks by itself, without the wallet. The site sees your IP address as before.',
  accounts:
    'What names several of your accounts and cannot be taken apart is refused, or shows that they belong together where you allow it. A transaction from one to another shows it to everybody.',
  timing: 'Whoever watches both your connection and a gateway can match the two by their timing.',
  answers:
    'Balances and receipts are checked against blocks on which two gateways agree. Other answers are compared at best; the popup says how many are not checked at all.',
} as const

export const path = {
  title: 'Path',
  you: 'You',
  entry: 'Entry',
  middle: 'Middle',
  gateway: 'Gateway',
  provider: 'RPC provider',
  trunk: (number: number) => `Path ${number}`,
  noTrunk: 'No path is built.',
  oneTrunk: 'The second path is being built.',
  noGateway: 'Chosen at the first request',
  moreGateways: (count: number) => `and ${count} more`,
  caption: 'No relay sees both who asks and what. Accounts go through one more before their gateways.',
} as const

export const stepsTexts = {
  title: 'Steps',
} as const

export const chains = {
  title: 'Chains',
  served: (served: number, of: number) => `${served} of ${of} served`,
} as const

export const activity = {
  title: 'Activity',
  today: (requests: string) => `${requests} of sites made private today`,
  lastError: 'Last error',
} as const

export const uncoveredTab = {
  all: 'This tab was opened before Nightjar was on. It is not covered until you reload it.',
  some: 'This tab is not covered. It was opened before Nightjar was on, or is not one of the sites you chose.',
} as const

export const leaving = {
  title: 'Turn off?',
  sites: 'Sites stop being private at once, and the shield comes down.',
  wallet:
    'MetaMask keeps asking Nightjar’s endpoint. Its requests stay private while the Nightjar program runs. When it does not, they fail; they never go direct.',
  backTitle: 'To put MetaMask back',
  back: ['Open MetaMask’s Networks menu.', 'Ethereum → Edit → Default RPC URL.', 'Choose Infura.'],
  each: 'Do the same for each other chain that you approved.',
  others: (names: string) => `For ${names}: choose another RPC URL the same way, or delete the chain.`,
} as const

export const setup = {
  title: 'Set up Nightjar',
  lead: 'Private network access for wallets.',
  sentences: [
    'Your wallet tells its RPC provider, and its maker’s servers, your IP address and all your accounts.',
    'Nightjar sends what sites and MetaMask ask over relays. At most the last one knows what is asked, and only the first one who asks.',
    'No single party sees both who asks and what is asked; when that cannot be kept, requests fail and never go direct.',
  ],
  installTitle: 'Install the Nightjar program',
  install: 'It holds the connections to the relays. Run this in the folder of Nightjar:',
  browser: 'Browser',
  connectTitle: 'Go private',
  connect: 'One click; then approve MetaMask’s dialogs. Each step shows here.',
  connected: 'Nightjar is on. Its icon in the toolbar shows how things are.',
  doorsTitle: 'Three doors',
  doors: [
    ['Sites', 'What a site asks the chain through your wallet goes sealed to a gateway, which asks an RPC provider.'],
    [
      'MetaMask’s RPC',
      'MetaMask is given an address on your own computer as its RPC provider. What it asks there takes the same way.',
    ],
    [
      'Wallet and RPC servers',
      'The shield: requests to MetaMask’s own servers, RPC providers, explorers and price services on a published list leave from an exit relay. They stay encrypted to the end, so the exit does not see what they say.',
    ],
  ],
  doorsMore: 'You can shield, block or leave alone each host in the settings.',
  warningTitle: 'Before you rely on it',
  warning:
    'There is no public network yet: relays have to be run by yourself or friends. Nobody outside the project has reviewed Nightjar. Do not trust your safety to it.',
  copy: 'Copy',
  copied: 'Copied',
} as const

export const hostStates = {
  unchecked: 'Not checked yet. “Go private” checks it.',
  running: 'Looking for it…',
  failed: 'It does not answer.',
  answers: 'It answers.',
  version: (version: string) => `It answers, version ${version}.`,
} as const

/** Who learns what on the way; drawn on the first-run page. */
export const whoSees = [
  { party: 'You', note: 'browser and Nightjar program', address: true, content: true },
  { party: 'Your network', note: 'TLS to the entry, in bursts', address: true, content: false },
  { party: 'Entry relay', note: 'equal, sealed cells', address: true, content: false },
  { party: 'Middle relay', note: 'branches of a nameless client', address: false, content: false },
  { party: 'Gateway', note: 'one site’s or account’s requests', address: false, content: true },
  { party: 'RPC provider', note: 'a request from the gateway', address: false, content: true },
] as const

export const whoSeesTitles = {
  figure: 'Who sees what',
  knows: 'knows',
  address: 'your IP',
  content: 'the request',
  neither: 'knows neither',
} as const

export const choiceNames: Record<Choice, string> = {
  shield: 'Shield',
  block: 'Block',
  leave: 'Leave alone',
}

/** By id of the host list; one that this version does not know is named as it is. */
export const categoryNames: Readonly<Record<string, string>> = {
  wallet: 'Wallets’ own servers',
  rpc: 'RPC providers',
  explorer: 'Explorers',
  price: 'Prices',
  bridge: 'Bridges and swaps',
  'phishing-list': 'Phishing lists',
}

export const shielded = {
  title: 'Shielded today',
  totals: (shielded: string, blocked: string) => `${shielded} · ${blocked} blocked`,
  none: 'Nothing yet.',
  category: 'Hosts',
  shielded: 'shielded',
  blocked: 'blocked',
  lastError: 'The last connection failed:',
  leaks: (hosts: string) => `Pages asked ${hosts} directly.`,
  seeLeaks: 'See which',
} as const

export const apart = {
  title: 'Accounts apart',
  watched: (sites: string, wallet: string) => `Kept apart: ${sites} of sites, ${wallet} of MetaMask.`,
  aside: (seconds: number) => `up to ${seconds} s old`,
  knownAside: (known: string, all: string) => `${known} of ${all} known`,
  cold: (known: string, all: string) =>
    `Accounts are read one by one, so that nobody sees them appear together: ${known} of ${all} are known, the rest follow within about half an hour. Until then MetaMask shows older balances, or none, for accounts that you do not look at, and sites that ask for several at once get an error.`,
  age: (seconds: number) => `A balance may be ${seconds} s old, as each account is read at a time of its own.`,
  ages: (sites: number, wallet: number) =>
    `A balance may be ${sites} s old on sites and ${wallet} s in MetaMask, as each account is read at a time of its own.`,
  linked: 'What could not be kept apart',
  sent: 'Sent',
  refused: 'Refused',
  /** By word of shared/wallet. */
  reasons: {
    transfer: 'a transaction from one of your accounts to another',
    multicall: 'many calls in one that cannot be taken apart',
    logs: 'a search for events of several accounts',
    other: 'a call that names several accounts',
  } as Readonly<Record<string, string>> & { readonly other: string },
  disputes: (times: string) =>
    `Gateways contradicted each other ${times}. What they disagreed on is not shown as checked.`,
  answers: 'Answers since the start',
  kinds: {
    verified: { name: 'Verified', note: 'proved against a block' },
    compared: { name: 'Compared', note: 'two gateways said the same' },
    unverified: { name: 'Unverified', note: 'one gateway’s word' },
  },
  someGateway: 'A gateway',
  lie: (gateway: string, what: string, ago: string) => `${gateway} said what is proved false: ${what}, ${ago}.`,
  avoided: 'Nightjar avoids it for what it lied about, until a restart.',
  /** By word of shared/proofs. */
  lies: {
    'block-hash': 'a block that is not the one of its hash',
    proof: 'a proof of something else',
    'other-account': 'another account than the one asked for',
    account: 'an account’s balance, nonce or code',
    code: 'a contract’s code',
    slot: 'a contract’s storage',
    'other-slot': 'a contract’s storage',
    transaction: 'a transaction',
    transactions: 'a block’s transactions',
    receipt: 'a receipt',
    receipts: 'a block’s receipts',
    'log-missing': 'events, of which some were missing',
    'log-added': 'events, of which some never happened',
    'log-altered': 'events',
    'log-order': 'the order of events',
  } as Readonly<Record<string, string>>,
} as const

export const restart = {
  text: 'Connections that were open before the shield went up are still direct. Restart the browser to close them.',
  dismiss: 'Dismiss',
} as const

/** The programs are run from the folder of Nightjar. */
export const commands = {
  install: (browser: string) => `npm run nightjar -- install --browser ${browser}`,
  uninstall: 'npm run nightjar -- uninstall',
  status: 'npm run nightjar -- status',
} as const
