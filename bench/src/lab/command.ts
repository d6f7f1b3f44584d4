/** `npm run lab -- NAME`: attacks on ourselves. Each prints one JSON line last. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { attackers } from './attackers.ts'
import { type LinkingFlags, linking, type Results, type StrategyName, strategies, summaryOf } from './linking.ts'
import { barsOf, curvesOf } from './picture.ts'

export function labCommand(): Command {
  const lab = new Command('lab').description('Attacks on ourselves; prints one JSON line last.')
  lab
    .command('linking')
    .description('whether gateways, their provider or middles learn which accounts belong together')
    .option('--users <n>', 'simulated users', positive, 200)
    .option('--hours <n>', 'simulated hours', positive, 8)
    .option('--seed <n>', 'of all chance', positive, 1)
    .addOption(new Option('--only <strategy>', 'one of them').choices(Object.keys(strategies)))
    .option('--pictures <dir>', 'folder for pictures')
    .option('--lab <flags>', 'more for nightjar-lab, as one text: --lab="--no-keep --sleeps 0"', '')
    .action(async ({ pictures, ...flags }: LinkingFlags & { readonly pictures?: string }) => {
      const results = await linking(flags, (step) => process.stderr.write(`· ${step}\n`))
      if (pictures !== undefined) draw(results, pictures)
      const summary = Object.entries(results).map(([name, byAttacker]) => {
        const rows = attackers.map((attacker) => [attacker, summaryOf(byAttacker[attacker])])
        return [name as StrategyName, Object.fromEntries(rows)]
      })
      process.stdout.write(`${JSON.stringify(Object.fromEntries(summary))}\n`)
      process.exit()
    })
  return lab
}

function draw(results: Results, folder: string): void {
  mkdirSync(folder, { recursive: true })
  const title = 'How well pairs of accounts of one user are told'
  for (const [window, name] of Object.entries({ auc1h: '1h', auc8h: '8h' } as const) as ['auc1h' | 'auc8h', string][]) {
    writeFileSync(
      join(folder, `linking-auc-${name}.svg`),
      barsOf(results, window, `${title}, over ${name === '1h' ? 'one hour' : 'eight hours'}`),
    )
    writeFileSync(
      join(folder, `linking-roc-${name}.svg`),
      curvesOf(results, window, `${title}, over ${name === '1h' ? 'one hour' : 'eight hours'}`),
    )
  }
}

function positive(text: string): number {
  const number = Number(text)
  if (!(number > 0)) throw new InvalidArgumentError('must be a positive number')
  return number
}
