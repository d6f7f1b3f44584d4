/** The command line of `nightjar`. */
import { type BridgeResponse, parseResult } from '@nightjar/shared/bridge'
import { Argument, Command, InvalidArgumentError } from 'commander'
import { askDaemon } from '../control/client.ts'
import { addBrowserCommands, type BrowserCommands } from './browsers.ts'
import { formatStatus } from './format.ts'

export interface CliContext extends BrowserCommands {
  readonly version: string
  /** Path of the daemon's local socket. @throws NightjarError where it must not be used */
  socket(): Promise<string>
  /** Runs the daemon until it is stopped. */
  up(): Promise<void>
  /** @returns false where no daemon runs */
  stop(): Promise<boolean>
}

export function buildProgram(context: CliContext): Command {
  const program = new Command('nightjar')
    .description('Private network access for wallets: your JSON-RPC, sealed and onion-routed to a gateway.')
    .version(context.version)
    .showHelpAfterError()
    .addHelpText(
      'after',
      '\nAccounts of a wallet are kept apart, each at a gateway of its own, and what is said of them is checked: `status`' +
        '\nshows how far, and `accounts` in config.yaml sets it.\n',
    )

  program
    .command('up')
    .description('run the daemon in the foreground until Ctrl-C; prints one JSON line when it serves')
    .action(() => context.up())

  program
    .command('stop')
    .description('end the daemon, whoever started it; an extension that is switched on starts it again')
    .addHelpText('after', '\nExample:\n  nightjar stop\n')
    .action(async () => {
      context.print((await context.stop()) ? 'Stopped.\n' : 'No daemon was running.\n')
    })

  program
    .command('status')
    .description('show whether the daemon is private, through whom, and how accounts are kept apart')
    .option('--json', 'print one JSON object')
    .action(async (options: { json?: boolean }) => {
      const status = parseResult('status', resultOf(await askDaemon(await context.socket(), { type: 'status' })))
      context.print(options.json ? `${JSON.stringify(status)}\n` : formatStatus(status))
    })

  program
    .command('rpc')
    .description('send one JSON-RPC request over the network and print its result')
    .addArgument(new Argument('<method>', 'for example eth_blockNumber'))
    .addArgument(new Argument('[params...]', 'each as JSON; what is no JSON is taken as a string'))
    .option('--chain <id>', 'decimal chain id', parseChain, 1)
    .addHelpText(
      'after',
      '\nExample:\n  nightjar rpc eth_getBalance 0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045 latest --chain 1\n',
    )
    .action(async (method: string, params: string[], options: { chain: number }) => {
      const question = { type: 'rpc', chain: options.chain, method, params: params.map(parseParam) } as const
      const response = await askDaemon(await context.socket(), question)
      if ('error' in response) {
        context.print(`${JSON.stringify({ error: response.error }, null, 2)}\n`)
        return context.setExitCode(1)
      }
      context.print(`${JSON.stringify(response.result, null, 2)}\n`)
    })

  addBrowserCommands(program, context)
  return program
}

function resultOf(response: BridgeResponse): unknown {
  if ('error' in response) throw new Error(response.error.message)
  return response.result
}

function parseChain(text: string): number {
  const chain = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(chain) || chain < 1) {
    throw new InvalidArgumentError('a chain id is a positive decimal number')
  }
  return chain
}

function parseParam(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Addresses, hashes and tags are easier typed without quotes.
    return text
  }
}
