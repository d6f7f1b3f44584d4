/**
 * The project's commands: `node scripts/run.mjs start|test|bench|build|check|unit|e2e|format|nightjar|nightjar-relay|nightjar-load`.
 * Each first makes the checkout runnable (bootstrap.mjs) and, where it runs a program, builds it.
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { BootstrapError, ensureDependencies, ensureNode, root, runNode } from './bootstrap.mjs'

const bin = {
  vite: 'node_modules/vite/bin/vite.js',
  vitest: 'node_modules/vitest/vitest.mjs',
  biome: 'node_modules/@biomejs/biome/bin/biome',
  tsc: 'node_modules/typescript/bin/tsc',
}
const programs = ['nightjar', 'nightjar-load', 'nightjar-relay', 'start', 'bench']
const reports = join(root, '.build', 'reports')

class StepFailed extends Error {}

function main([command, ...args]) {
  // Ctrl-C goes to the whole group: the child ends in its own way, and its exit code is ours.
  process.on('SIGINT', () => {})
  const node = ensureNode()
  if (node !== process.execPath) return runNode(node, [join(root, 'scripts', 'run.mjs'), command, ...args])
  ensureDependencies()
  const run = (file, ...rest) => {
    const code = runNode(node, [file, ...rest])
    if (code !== 0) throw new StepFailed(`${file} ${rest.join(' ')}`, { cause: code })
  }
  const build = () => {
    for (const program of programs) run(bin.vite, 'build', '--mode', program)
  }
  const check = () => {
    run(bin.biome, 'ci', '--colors=off', '.')
    run(bin.tsc, '-b')
  }
  const vitest = (project, rest) => {
    mkdirSync(reports, { recursive: true })
    const report = join(reports, `${project}.json`)
    rmSync(report, { force: true })
    run(bin.vitest, 'run', '--project', project, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...rest)
    return JSON.parse(readFileSync(report, 'utf8'))
  }
  const program = (name) => {
    build()
    return runNode(node, ['--enable-source-maps', join(root, 'dist', `${name}.js`), ...args])
  }

  switch (command) {
    case 'build':
      return build() ?? 0
    case 'check':
      return check() ?? 0
    case 'format':
      return run(bin.biome, 'check', '--write', '.') ?? 0
    case 'unit':
      vitest('unit', args)
      return 0
    case 'e2e':
      build()
      vitest('e2e', args)
      return 0
    case 'test': {
      check()
      const unit = vitest('unit', [])
      build()
      const e2e = vitest('e2e', [])
      return summarise([unit, e2e])
    }
    case 'start':
    case 'bench':
    case 'nightjar':
    case 'nightjar-relay':
    case 'nightjar-load':
      return program(command)
    default:
      throw new BootstrapError(`There is no command "${command ?? ''}"; the ones there are stand in package.json.`)
  }
}

/** The one line that says how it went, over all runs. */
function summarise(results) {
  const total = (key) => results.reduce((sum, result) => sum + result[key], 0)
  const passed = total('numPassedTests')
  const failed = total('numFailedTests')
  console.log(`\n${passed} passed, ${failed} failed`)
  return passed > 0 && failed === 0 ? 0 : 1
}

try {
  process.exitCode = main(process.argv.slice(2))
} catch (error) {
  if (error instanceof StepFailed) console.error(`\nnightjar: failed: ${error.message}`)
  else if (error instanceof BootstrapError) console.error(`nightjar: ${error.message}`)
  else throw error
  process.exitCode = 1
}
