/**
 * The project's commands: `node scripts/run.mjs start|test|bench|lab|chaos|pictures|build|build:firefox|build:package|check|unit|e2e|format|nightjar|nightjar-relay|nightjar-load`.
 * Each first makes the checkout runnable (bootstrap.mjs) and, where it runs a program, builds it.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import {
  BootstrapError,
  ensureBrowser,
  ensureDependencies,
  ensureNode,
  ensurePrometheus,
  howToGetBrowser,
  root,
  runNode,
} from './bootstrap.mjs'

const bin = {
  vite: 'node_modules/vite/bin/vite.js',
  vitest: 'node_modules/vitest/vitest.mjs',
  biome: 'node_modules/@biomejs/biome/bin/biome',
  tsc: 'node_modules/typescript/bin/tsc',
}
const programs = ['nightjar', 'nightjar-load', 'nightjar-relay', 'nightjar-relay-testing', 'start', 'bench']
/** What runs in a browser: the extension, and what tests and `npm start` show it with. */
const browserParts = ['extension', 'e2e/wallet', 'e2e/dapp']
const reports = join(root, '.build', 'reports')

class StepFailed extends Error {}

async function main([command, ...args]) {
  const node = ensureNode()
  if (node !== process.execPath) return runNode(node, [join(root, 'scripts', 'run.mjs'), command, ...args])
  ensureDependencies()

  async function run(file, ...rest) {
    const code = await runNode(node, [file, ...rest])
    if (code !== 0) throw new StepFailed(`${file} ${rest.join(' ')}`)
  }

  async function build() {
    for (const program of programs) await run(bin.vite, 'build', '--mode', program)
    for (const part of browserParts) await run(bin.vite, 'build', '--config', join(part, 'vite.config.ts'))
    await buildFirefox()
  }

  const buildFirefox = () => run(bin.vite, 'build', '--config', 'extension/vite.firefox.config.ts')

  /** What a user installs (scripts/package.mjs). */
  async function buildPackage() {
    await run(bin.vite, 'build', '--mode', 'nightjar')
    await run(bin.vite, 'build', '--config', 'extension/vite.config.ts')
    await buildFirefox()
  }

  async function check() {
    await run(bin.biome, 'ci', '.')
    await run(bin.tsc, '-b')
  }

  async function vitest(project, rest, environment) {
    mkdirSync(reports, { recursive: true })
    const report = join(reports, `${project}.json`)
    rmSync(report, { force: true })
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
    const code = await runNode(
      node,
      [bin.vitest, 'run', '--project', `${project}*`, ...reporters, ...rest],
      environment,
    )
    const result = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : undefined
    return { passed: result?.numPassedTests ?? 0, failed: result?.numFailedTests ?? 0, ok: code === 0 }
  }

  async function test(...projects) {
    const results = []
    for (const project of projects) {
      if (project === 'e2e') {
        ensurePrometheus()
        await build()
      }
      const environment = project === 'e2e' ? { NIGHTJAR_BROWSER: requireBrowser() } : {}
      results.push(await vitest(project, projects.length === 1 ? args : [], environment))
      if (!results.at(-1).ok) break
    }
    return summarise(results)
  }

  switch (command) {
    case 'build':
      return build()
    case 'build:firefox':
      return buildFirefox()
    case 'build:package':
      return buildPackage()
    case 'check':
      return check()
    case 'format':
      return run(bin.biome, 'check', '--write', '.')
    case 'unit':
    case 'e2e':
      return test(command)
    case 'test':
      await check()
      return test('unit', 'e2e')
    case 'pictures':
      await run(bin.vite, 'build', '--config', 'extension/vite.gallery.config.ts')
      await run(bin.vite, 'build', '--mode', 'pictures')
      return runNode(node, [join(root, 'dist', 'pictures.js'), ...args], { NIGHTJAR_BROWSER: requireBrowser() })
    case 'start':
    case 'bench':
      await build()
      return runNode(node, ['--enable-source-maps', join(root, 'dist', `${command}.js`), ...args], {
        // Without one, what needs it says so.
        NIGHTJAR_BROWSER: ensureBrowser() ?? '',
      })
    case 'lab':
      for (const program of ['nightjar-lab', 'bench']) await run(bin.vite, 'build', '--mode', program)
      return runNode(node, ['--enable-source-maps', join(root, 'dist', 'bench.js'), 'lab', ...args])
    case 'chaos':
      for (const program of ['nightjar-load', 'nightjar-relay', 'chaos'])
        await run(bin.vite, 'build', '--mode', program)
      return runNode(node, ['--enable-source-maps', join(root, 'dist', 'chaos.js'), ...args])
    case 'nightjar':
    case 'nightjar-relay':
    case 'nightjar-load':
      await run(bin.vite, 'build', '--mode', command)
      return runNode(node, ['--enable-source-maps', join(root, 'dist', `${command}.js`), ...args])
    default:
      throw new BootstrapError(`There is no command "${command ?? ''}"; the ones there are stand in package.json.`)
  }
}

function requireBrowser() {
  const browser = ensureBrowser()
  if (browser === undefined) throw new BootstrapError(howToGetBrowser)
  return browser
}

/** The one line that says how it went, over all runs. */
function summarise(results) {
  const total = (key) => results.reduce((sum, result) => sum + result[key], 0)
  console.log(`\n${total('passed')} passed, ${total('failed')} failed`)
  return results.every(({ ok, passed }) => ok && passed > 0) ? 0 : 1
}

try {
  process.exitCode = (await main(process.argv.slice(2))) ?? 0
} catch (error) {
  if (error instanceof StepFailed) console.error(`\nnightjar: failed: ${error.message}`)
  else if (error instanceof BootstrapError) console.error(`nightjar: ${error.message}`)
  else throw error
  process.exitCode = 1
}
