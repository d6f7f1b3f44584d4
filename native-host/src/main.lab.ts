/**
 * The composition root of `nightjar-lab`, which simulates users of the real client code and writes what each party sees.
 * bench/src/lab attacks that. Never packaged.
 */
import { appendFileSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { AccountSettings } from '@nightjar/shared/accounts'
import { minute, second } from '@nightjar/shared/runtime'
import { failWith } from '@nightjar/shared-node/process'
import { Command, InvalidArgumentError, Option } from 'commander'
import { simulateLinking } from './lab/linking.ts'
import { type Strategy, strategies } from './lab/strategies.ts'
import type { Party, Views } from './lab/views.ts'

interface LinkingFlags {
  readonly users: number
  readonly hours: number
  readonly seed: number
  readonly strategy: Strategy
  readonly out: string
  readonly freshness?: number
  readonly coldSpread?: number
  readonly keep: boolean
  readonly inner: boolean
  readonly provoke?: true
  readonly sleeps?: number
}

const program = new Command('nightjar-lab').description('Simulates users for the privacy lab.').showHelpAfterError()

program
  .command('linking')
  .description('what gateways, their provider, middles and the chain see of wallets with several accounts')
  .option('--users <n>', 'users', positive, 200)
  .option('--hours <n>', 'hours', positive, 8)
  .option('--seed <n>', 'of all chance', positive, 1)
  .addOption(new Option('--strategy <name>', 'how calls are sent').choices(strategies).makeOptionMandatory())
  .requiredOption('--out <dir>', 'folder for PARTY.jsonl; emptied first')
  .option('--freshness <seconds>', 'of the watches, instead of the default', positive)
  .option('--cold-spread <minutes>', 'of the watches, instead of the default', positive)
  .option('--no-keep', 'branches on which something is watched are renewed and lost like all others')
  .option('--no-inner', 'branches of accounts go from the middles of trunks straight to gateways')
  .option('--provoke', 'every gateway makes each client try both of its ways')
  .option('--sleeps <n>', 'how often a machine sleeps in a day', Number)
  .action(async ({ keep, inner, provoke, sleeps, freshness, coldSpread, out, ...rest }: LinkingFlags) => {
    const settings: Partial<AccountSettings> = {
      ...(freshness === undefined ? {} : { freshness: freshness * second }),
      ...(coldSpread === undefined ? {} : { coldSpread: coldSpread * minute }),
    }
    const { views, flush } = filesIn(out)
    const onUser = (user: number) => {
      if ((user + 1) % 20 === 0) process.stderr.write(`· ${rest.strategy}: ${user + 1} of ${rest.users} users\n`)
    }
    const ways = { hasInner: inner, isProvoked: provoke === true }
    const machine = { isKeeping: keep, ...ways, ...(sleeps === undefined ? {} : { sleepsPerDay: sleeps }) }
    await simulateLinking({ ...rest, ...machine, settings, views, onUser })
    flush()
  })

function filesIn(folder: string): { readonly views: Views; flush(): void } {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const lines = new Map<Party, string[]>()
  const flush = () => {
    for (const [party, waiting] of lines) {
      if (waiting.length > 0) appendFileSync(join(folder, `${party}.jsonl`), `${waiting.splice(0).join('\n')}\n`)
    }
  }
  const views: Views = {
    write(party, record) {
      const waiting = lines.get(party) ?? []
      lines.set(party, waiting)
      if (waiting.push(JSON.stringify(record)) >= 10_000) flush()
    },
  }
  return { views, flush }
}

function positive(text: string): number {
  const number = Number(text)
  if (!(number > 0)) throw new InvalidArgumentError('must be a positive number')
  return number
}

program.parseAsync().then(() => process.exit(), failWith)
