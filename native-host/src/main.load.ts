/** The composition root of `nightjar-load`, the driver for tests and benchmarks. The last line it prints is JSON. */
import { readFileSync } from 'node:fs'
import { fromBase64 } from '@nightjar/shared/bytes'
import { type Network, type Relay, verifyDocument } from '@nightjar/shared/directory'
import { NightjarError } from '@nightjar/shared/errors'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { dialLink } from '@nightjar/shared-node/link'
import { readDocument } from '@nightjar/shared-node/network'
import { announceReady, failWith, onStopSignal, systemClock } from '@nightjar/shared-node/process'
import { Command, InvalidArgumentError } from 'commander'
import { type Crowd, measureEchoBursts, measureRelayBursts } from './load/bursts.ts'
import { measureEcho, measureRelay, type RelayCells } from './load/cells.ts'
import { openClients, openSockets } from './load/clients.ts'
import { loadRequests } from './load/requests.ts'
import { measureSealing } from './load/seal.ts'
import { loadSteadily } from './load/steady.ts'

interface NetworkOptions {
  readonly network: string
  readonly trust: readonly string[]
  readonly threshold: number
}

interface RequestOptions extends NetworkOptions {
  readonly clients: number
  readonly requests: number
  readonly concurrency: number
  readonly chain: number
  readonly method: string
  readonly params: string
  readonly caFile?: string
}

interface SinkOptions extends NetworkOptions {
  readonly relay: string
  readonly sink: string
  readonly sinkCert?: string
  readonly sinkKey?: string
}

const program = new Command('nightjar-load')
  .description('Drives a Nightjar network for tests and benchmarks. Prints one JSON line last.')
  .showHelpAfterError()

function withNetwork(command: Command): Command {
  return command
    .requiredOption('--network <file>', 'network document, a path or URL')
    .requiredOption('--trust <key...>', 'pinned directory keys, base64')
    .option('--threshold <n>', 'signatures needed', positive, 1)
}

function withSink(command: Command): Command {
  return withNetwork(command)
    .requiredOption('--relay <name>', 'the relay under test')
    .requiredOption('--sink <name>', 'the relay whose part the driver plays')
    .option('--sink-cert <file>', 'certificate for a wss sink')
    .option('--sink-key <file>', 'its key')
}

function withEcho(command: Command): Command {
  return command.requiredOption('--url <url>', 'ws:// or wss:// URL on loopback')
}

function withCrowd(command: Command): Command {
  return command
    .option('--clients <n>', 'clients with a link each', positive, 500)
    .option('--senders <n>', 'those of them that send', positive, 32)
}

withNetwork(program.command('requests'))
  .description('many independent clients asking JSON-RPC requests')
  .option('--clients <n>', 'independent clients', positive, 10)
  .option('--requests <n>', 'requests in all', positive, 1000)
  .option('--concurrency <n>', 'requests under way at once', positive, 64)
  .option('--chain <id>', 'decimal chain id', positive, 1)
  .option('--method <name>', 'method', 'eth_blockNumber')
  .option('--params <json>', 'its parameters', '[]')
  .option('--ca-file <file>', 'PEM of a private CA for wss relays')
  .action(async (options: RequestOptions) => {
    const result = await loadRequests({
      ...options,
      crypto: nativeCrypto,
      clock: systemClock,
      dial: dialLink,
      extraCa: options.caFile === undefined ? undefined : readFileSync(options.caFile, 'utf8'),
      network: await openNetwork(options),
      call: { method: options.method, params: JSON.parse(options.params) },
      onProgress: (done) => process.stderr.write(`${done} of ${options.requests}\n`),
    })
    finish(result)
  })

interface SteadyOptions extends NetworkOptions {
  readonly clients: number
  readonly rate: number
  readonly mostInFlight: number
  readonly chain: number
  readonly echo: string
  readonly transactions?: string
}

withNetwork(program.command('steady'))
  .description('clients asking at a steady rate until SIGTERM; one JSON line a second, and the sum last')
  .requiredOption('--echo <address>', 'a contract that answers with its input')
  .option('--clients <n>', 'independent clients', positive, 10)
  .option('--rate <n>', 'requests a second, over all clients', positive, 50)
  .option('--most-in-flight <n>', 'requests under way at once', positive, 2000)
  .option('--chain <id>', 'decimal chain id', positive, 1)
  .option('--transactions <file>', 'signed transactions, one per line')
  .action(async (options: SteadyOptions) => {
    const stop = new AbortController()
    onStopSignal(() => stop.abort())
    const { transactions } = options
    const result = await loadSteadily({
      ...options,
      crypto: nativeCrypto,
      clock: systemClock,
      dial: dialLink,
      extraCa: undefined,
      network: await openNetwork(options),
      transactions: transactions === undefined ? [] : readFileSync(transactions, 'utf8').trim().split('\n'),
      stop: stop.signal,
      onReady: () => announceReady({}),
      onWindow: finish,
    })
    finish(result)
  })

withSink(program.command('relay-cells'))
  .description('cells per second through one relay, with the driver on both sides of it')
  .action(async (options: SinkOptions) => finish(await measureRelay(await openRelay(options))))

withEcho(program.command('echo-cells'))
  .description('the same driver against a plain echo server')
  .action(async ({ url }: { url: string }) => finish(await measureEcho(url)))

withCrowd(withSink(program.command('relay-bursts')))
  .description('cells per second through one relay that many clients stand at and some send through in bursts')
  .action(async (options: SinkOptions & Crowd) => {
    finish(await measureRelayBursts({ ...options, ...(await openRelay(options)) }))
  })

withCrowd(withEcho(program.command('echo-bursts')))
  .description('the same driver against a plain echo server')
  .action(async ({ url, ...crowd }: { url: string } & Crowd) => finish(await measureEchoBursts(url, crowd)))

withNetwork(program.command('relay-idle'))
  .description('clients with a circuit that do nothing, until the driver is told to stop; prints a ready line')
  .requiredOption('--relay <name>', 'the relay under test')
  .option('--clients <n>', 'clients', positive, 500)
  .action(async (options: NetworkOptions & { relay: string; clients: number }) => {
    const relay = relayNamed(await openNetwork(options), options.relay)
    await openClients(nativeCrypto, relay, options.clients)
    await untilStopped()
  })

withEcho(program.command('echo-idle'))
  .description('the same without circuits against a plain echo server')
  .option('--clients <n>', 'clients', positive, 500)
  .action(async ({ url, clients }: { url: string; clients: number }) => {
    await openSockets(url, clients)
    await untilStopped()
  })

program
  .command('seal')
  .description('three-layer seals per second beside the bare AEAD calls')
  .action(() => finish(measureSealing(nativeCrypto)))

/** Says that it is ready, and stays until SIGTERM. */
function untilStopped(): Promise<void> {
  announceReady({})
  return new Promise((resolve) => void onStopSignal(() => resolve()))
}

function finish(result: object): void {
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

async function openNetwork({ network, trust, threshold }: NetworkOptions): Promise<Network> {
  const pinned = { keys: trust.map(fromBase64), threshold }
  return verifyDocument(nativeCrypto, await readDocument(network), { trust: pinned, now: systemClock.now() })
}

async function openRelay(options: SinkOptions): Promise<RelayCells> {
  const network = await openNetwork(options)
  const { sinkCert: certFile, sinkKey: keyFile } = options
  return {
    crypto: nativeCrypto,
    relay: relayNamed(network, options.relay),
    sink: relayNamed(network, options.sink),
    sinkTls: certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile },
  }
}

function relayNamed(network: Network, name: string): Relay {
  const relay = network.relays.find((candidate) => candidate.name === name)
  if (relay === undefined) throw new NightjarError('unknown-relay')
  return relay
}

function positive(text: string): number {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 1) throw new InvalidArgumentError('must be a positive whole number')
  return number
}

program.parseAsync().then(() => process.exit(), failWith)
