/**
 * `npm run bench -- NAME`: measures, and prints one JSON line last. docs/benchmarks.md records results.
 * `npm run lab -- NAME` is its command `lab`.
 */
import { cpus, totalmem } from 'node:os'
import { programPath, runProgram } from '@nightjar/e2e/network'
import { Command } from 'commander'
import { benchBridge } from './bridge.ts'
import { serveBulk } from './bulkServer.ts'
import { benchBundle } from './bundle.ts'
import { serveEcho } from './echoServer.ts'
import { benchExit } from './exit.ts'
import { benchGateway } from './gateway.ts'
import { labCommand } from './lab/command.ts'
import { benchRelay } from './relay.ts'
import { benchRelayLoad } from './relayLoad.ts'
import { benchRpc } from './rpc.ts'

type Bench = (report: (step: string) => void) => Promise<Record<string, number>>

const benches: Record<string, { description: string; run: Bench }> = {
  rpc: { description: 'eth_getBalance over the network beside direct', run: benchRpc },
  relay: { description: 'cells per second through one relay beside a plain echo', run: benchRelay },
  'relay-load': { description: 'the same with 500 clients, and memory of an idle one', run: benchRelayLoad },
  gateway: { description: 'eth_getBalance through one gateway beside undici, per core', run: benchGateway },
  exit: { description: 'bulk TCP through an exit beside direct, and opening a connection', run: benchExit },
  bridge: { description: 'a page’s request of 1 KB through the extension beside the endpoint', run: benchBridge },
  bundle: { description: 'gzipped size of service worker, popup and the script in pages', run: benchBundle },
  seal: { description: 'three-layer seals per second beside the bare AEAD calls', run: benchSeal },
}

async function benchSeal(): Promise<Record<string, number>> {
  const { stdout } = await runProgram(programPath('nightjar-load'), ['seal'])
  return JSON.parse(stdout) as Record<string, number>
}

const program = new Command('npm run bench --').description('Measures Nightjar; prints one JSON line last.')

for (const [name, { description, run }] of Object.entries(benches)) {
  program
    .command(name)
    .description(description)
    .action(async () => {
      const [cpu] = cpus()
      const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`
      process.stderr.write(`${cpus().length} × ${cpu?.model.trim()}, ${memory}, Node ${process.version}\n`)
      const result = await run((step) => process.stderr.write(`· ${step}\n`))
      const rounded = Object.entries(result).map(([key, value]) => [key, Number(value.toPrecision(4))])
      process.stdout.write(`${JSON.stringify(Object.fromEntries(rounded))}\n`)
      process.exit()
    })
}

program
  .command('echo-server', { hidden: true })
  .option('--cert <file>')
  .option('--key <file>')
  .action(({ cert, key }: { cert?: string; key?: string }) => {
    serveEcho(cert === undefined || key === undefined ? undefined : { certFile: cert, keyFile: key })
  })

program.command('bulk-server', { hidden: true }).action(serveBulk)

program.addCommand(labCommand(), { hidden: true })

await program.parseAsync()
