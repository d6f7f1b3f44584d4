/** `npm start`: a whole private network on this machine, the proof that it works, and an endpoint to try it with. */
import { createServer } from 'node:net'
import { Command } from 'commander'
import { findBrowser, type Stage, setStage } from './browser/index.ts'
import { call } from './network/chain.ts'
import { type LocalNetwork, startLocalNetwork } from './network/localNetwork.ts'
import { type Proof, prove } from './proof.ts'
import { openWindows, type Tour, tour } from './tour.ts'

interface Options {
  readonly upstream?: string
  readonly once?: true
  readonly json?: true
  readonly port: string
  readonly browser: boolean
}

const localChains = [1, 31337]

const program = new Command('npm start --')
  .description(
    'Starts a private network on loopback (eight relays, a daemon, Ethereum nodes), sends real requests through it,\n' +
      'shows what each party saw of them, opens a browser with the extension, a stand-in wallet and a demo dapp, and\n' +
      'keeps running until Ctrl-C.',
  )
  .option('--upstream <url>', 'use a real RPC provider for the chain it serves, instead of local nodes (reads only)')
  .option('--once', 'run the proof and exit')
  .option('--json', 'print the proof as one JSON line last')
  .option('--no-browser', 'without the browser')
  .option('--port <number>', 'port of the endpoint to paste into a wallet; 0 = any', '8645')
  .action(main)

async function main(options: Options): Promise<void> {
  const say = (text: string) => void process.stderr.write(`${text}\n`)
  const stopped = stopSignal()
  const upstreamChain = options.upstream === undefined ? undefined : await chainOf(options.upstream)
  const chains = upstreamChain === undefined ? localChains : [upstreamChain]
  const networkOptions = {
    chains,
    upstream: options.upstream,
    tapped: true,
    // A user's accounts are first read within half an hour, so that nobody sees them appear together.
    accounts: { cold_spread_seconds: 5 },
    endpointPort: await endpointPort(Number(options.port)),
  }
  const onStep = (step: string) => say(`· ${step}`)
  const stage = wantsBrowser(options, say) ? await setStage({ network: networkOptions, headless, onStep }) : undefined
  const network = stage?.network ?? (await startLocalNetwork({ ...networkOptions, onStep }))
  try {
    if (stopped.now) return
    const chainId = chains[0] as number
    say('· sending requests over it')
    const proof = await prove(network, chainId, options.upstream === undefined)
    const goesByItself = stage !== undefined && (headless || options.once === true) && options.upstream === undefined
    if (goesByItself) say('· going private in the browser, as a user would')
    const shown = goesByItself ? await tour(stage) : undefined
    process.exitCode = proof.ok && shown?.ok !== false ? 0 : 1
    if (!options.json) process.stdout.write(describe(proof, network, chains) + describeTour(shown))
    if (!options.once) {
      if (stage !== undefined && !headless) await openWindows(stage)
      if (!options.json) process.stdout.write(stage !== undefined && !headless ? inWindows : 'Running until Ctrl-C.\n')
      await Promise.race([stopped.promise, stage === undefined ? network.daemon.process.ended : closed(stage)])
    }
    if (options.json) process.stdout.write(`${JSON.stringify({ ...withoutParties(proof), browser: shown ?? null })}\n`)
  } finally {
    say('· stopping')
    await (stage ?? network).stop()
  }
}

/** Without a display nobody could look at a window. */
const headless = process.platform === 'linux' && !process.env.DISPLAY && !process.env.WAYLAND_DISPLAY

const inWindows = [
  'The browser shows a demo dapp and the popup of Nightjar. Press "Go private" and approve what the stand-in wallet',
  'asks; then try the dapp. (The wallet’s accounts are test accounts.) Running until Ctrl-C.',
  '',
].join('\n')

function wantsBrowser({ browser }: Options, say: (text: string) => void): boolean {
  if (!browser) return false
  try {
    findBrowser()
    return true
  } catch (error) {
    say(`· without the browser: ${(error as Error).message}`)
    return false
  }
}

/** Resolves when the user has closed the browser. */
function closed({ browser }: Stage): Promise<void> {
  return new Promise((resolve) => browser.context.once('close', () => resolve()))
}

function describeTour(shown: Tour | undefined): string {
  if (shown === undefined) return ''
  return [
    `In the browser: one click, the wallet’s dialogs after ${shown.clickToDialogMs} ms, then the popup says "${shown.popup}".`,
    `  a dapp’s ${shown.dappRead.method}: ${shown.dappRead.sameAsDirect ? 'same as direct' : 'DIFFERS from direct'}`,
    `  the wallet asks about all of its accounts in one call; gateways asked about ${shown.accountsSeenFromGateways} of them, and in ${shown.linked} requests about two at once`,
    `  requests that still reached the wallet’s own RPC provider: ${shown.leaked}`,
    '',
    '',
  ].join('\n')
}

function stopSignal(): { readonly promise: Promise<void>; now: boolean } {
  let resolve = () => {}
  const stopped = { promise: new Promise<void>((settle) => (resolve = settle)), now: false }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      stopped.now = true
      resolve()
    })
  }
  return stopped
}

async function chainOf(url: string): Promise<number> {
  const answer = (await call(url, 'eth_chainId', [])) as { result?: unknown }
  if (typeof answer.result !== 'string') throw new Error('the upstream does not answer eth_chainId; check its URL')
  return Number(answer.result)
}

/** The wanted port if it is free; otherwise any, and the user is told where it is. */
async function endpointPort(wanted: number): Promise<number> {
  if (wanted === 0 || (await isFree(wanted))) return wanted
  process.stderr.write(`· port ${wanted} is taken, using another\n`)
  return 0
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

function describe(proof: Proof, network: LocalNetwork, chains: readonly number[]): string {
  const requests = proof.requests.map(({ method, ok, sameAsDirect, ms }) => [
    ok && sameAsDirect ? '✓' : '✗',
    method,
    sameAsDirect ? 'same as direct' : ok ? 'DIFFERS from direct' : 'FAILED',
    `${ms} ms`,
  ])
  const parties = proof.parties.map(({ party, sawFrom, saw }) => [party, sawFrom, saw])
  const urls = chains.map((chain) => [`chain ${chain}`, network.daemon.url(chain)])
  return [
    '',
    `Path: you → ${proof.hops.map((hop, index) => `${hop} (${proof.operators[index]})`).join(' → ')} → RPC provider`,
    '',
    ...columns([['', 'request', 'answer', 'time'], ...requests]),
    '',
    ...columns([['who', 'was reached by', 'and saw'], ...parties]),
    '',
    proof.plaintextSeen
      ? 'READABLE DATA WAS FOUND on a link between you and the gateway.'
      : 'Searched every byte captured between you and the gateway: no method, address or JSON in it.',
    `Messages at the entry that are no multiple of 1024 bytes: ${proof.entry.otherSizes} of ${proof.entry.messages}`,
    '',
    'Give your wallet one of these as its RPC URL:',
    ...columns(urls),
    '',
    '',
  ].join('\n')
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd())
}

function withoutParties({ parties: _, ...proof }: Proof): Omit<Proof, 'parties'> {
  return proof
}

program.parseAsync().then(
  () => process.exit(),
  (error: unknown) => {
    process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(1)
  },
)
