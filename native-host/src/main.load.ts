/** The composition root of `nightjar-load`, the driver for tests and benchmarks. The last line it prints is JSON. */
import { readFileSync } from 'node:fs'
import { fromBase64 } from '@nightjar/shared/bytes'
import { type Network, type Relay, verifyDocument } from '@nightjar/shared/directory'
import { NightjarError } from '@nightjar/shared/errors'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { dialLink } from '@nightjar/shared-node/link'
import { readDocument } from '@nightjar/shared-node/network'
import { failWith, systemClock } from '@nightjar/shared-node/process'
import { Command, InvalidArgumentError } from 'commander'
import { measureEcho, measureRelay } from './load/cells.ts'
import { loadRequests } from './load/requests.ts'
import { measureSealing } from './load/seal.ts'

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

const program = new Command('nightjar-load')
  .description('Drives a Nightjar network for tests and benchmarks. Prints one JSON line last.')
  .showHelpAfterError()

function withNetwork(command: Command): Command {
  return command
    .requiredOption('--network <file>', 'network document, a path or URL')
    .requiredOption('--trust <key...>', 'pinned directory keys, base64')
    .option('--threshold <n>', 'signatures needed', positive, 1)
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

withNetwork(program.command('relay-cells'))
  .description('cells per second through one relay, with the driver on both sides of it')
  .requiredOption('--relay <name>', 'the relay under test')
  .requiredOption('--sink <name>', 'the relay whose part the driver plays')
  .option('--sink-cert <file>', 'certificate for a wss sink')
  .option('--sink-key <file>', 'its key')
  .action(async (options: NetworkOptions & { relay: string; sink: string; sinkCert?: string; sinkKey?: string }) => {
    const network = await openNetwork(options)
    const sink = relayNamed(network, options.sink)
    const { sinkCert, sinkKey } = options
    finish(
      await measureRelay({
        crypto: nativeCrypto,
        relay: relayNamed(network, options.relay),
        sink,
        sinkPort: Number(new URL(sink.addresses[0]?.url as string).port),
        sinkTls: sinkCert === undefined || sinkKey === undefined ? undefined : { certFile: sinkCert, keyFile: sinkKey },
      }),
    )
  })

program
  .command('echo-cells')
  .description('the same driver against a plain echo server')
  .requiredOption('--url <url>', 'ws:// or wss:// URL on loopback')
  .action(async (options: { url: string }) => finish(await measureEcho(options.url)))

program
  .command('seal')
  .description('three-layer seals per second beside the bare AEAD calls')
  .action(() => finish(measureSealing(nativeCrypto)))

function finish(result: object): void {
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

async function openNetwork({ network, trust, threshold }: NetworkOptions): Promise<Network> {
  const pinned = { keys: trust.map(fromBase64), threshold }
  return verifyDocument(nativeCrypto, await readDocument(network), { trust: pinned, now: systemClock.now() })
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
