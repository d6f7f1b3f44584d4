/**
 * Makes a fresh clone runnable: the locked dependencies, and a Node that is new enough. Plain JavaScript without
 * dependencies, because it runs before there are any, on Node 20 too.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))
const oldestNode = [22, 12]

/** A sentence for the user; printed without a stack. */
export class BootstrapError extends Error {}

/** Whether `version` (such as "v22.11.0") is new enough to run Nightjar. */
export function isNewEnough(version) {
  const [major, minor] = version.replace(/^v/, '').split('.').map(Number)
  return major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])
}

/** The path of a Node that is new enough: this one, or the private one that scripts/node locks. */
export function ensureNode() {
  if (isNewEnough(process.version)) return process.execPath
  const found = ensurePrivateNode()
  if (found === undefined) {
    throw new BootstrapError(
      `There is no private Node for ${process.platform} ${process.arch}; install Node 22.12 or newer and run this again.`,
    )
  }
  return found
}

/**
 * The path of the Node that scripts/node locks; undefined where there is none for this platform.
 * @throws BootstrapError where it cannot be had
 */
export function ensurePrivateNode() {
  const folder = join(root, 'scripts', 'node')
  const { optionalDependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const isWindows = process.platform === 'win32'
  const name = `node-${isWindows ? 'win' : process.platform}-${process.arch}`
  if (!(name in optionalDependencies)) return undefined
  const path = join(folder, 'node_modules', name, 'bin', isWindows ? 'node.exe' : 'node')
  install(folder, 'bringing a private Node 24 (about 190 MB, once)', path)
  return path
}

/** Installs the project's locked dependencies where they are missing or not those of the lock file. */
export function ensureDependencies() {
  install(root, 'installing the locked dependencies')
}

/** @param wanted a file that must be there afterwards: npm takes no notice of an optional package that it cannot get */
function install(folder, announcement, wanted = folder) {
  const lock = createHash('sha256')
    .update(readFileSync(join(folder, 'package-lock.json')))
    .digest('hex')
  const mark = join(folder, 'node_modules', '.nightjar-lock')
  if (existsSync(mark) && readFileSync(mark, 'utf8') === lock && existsSync(wanted)) return
  console.error(`nightjar: ${announcement} …`)
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  const result = spawnSync(npm, ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: folder,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
    env: environmentForNpm(),
  })
  if (result.error !== undefined || result.status !== 0) {
    throw new BootstrapError(
      `The dependencies could not be installed; check the connection to your npm registry and run: npm ci --ignore-scripts --prefix ${folder === root ? '.' : 'scripts/node'}`,
    )
  }
  if (!existsSync(wanted)) {
    throw new BootstrapError(
      `Your npm registry gave no ${relative(folder, wanted)}; try again when it does, or install Node 22.12 or newer.`,
    )
  }
  writeFileSync(mark, lock)
}

const browsers = ['chromium', 'chromium-browser']

/**
 * The path of a Chromium, installed with the system's packages where that can be done without asking anybody; undefined
 * where there is none. Branded Chrome does not load unpacked extensions any more.
 */
export function ensureBrowser() {
  const found = findBrowser()
  if (found !== undefined) return found
  const mayInstall = process.platform === 'linux' && process.getuid() === 0 && onPath('apt-get') !== undefined
  if (!mayInstall) return undefined
  console.error('nightjar: installing Chromium from the system’s packages (about 300 MB, once) …')
  const apt = (...args) =>
    spawnSync('apt-get', ['-qq', ...args], {
      stdio: ['ignore', 2, 2],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    })
  apt('update')
  apt('install', '-y', '--no-install-recommends', 'chromium', 'fonts-dejavu-core')
  return findBrowser()
}

export const howToGetBrowser =
  'Chromium is needed for this. Install it (Debian, Ubuntu: sudo apt-get install chromium) or set NIGHTJAR_BROWSER to the path of one.'

/**
 * Has a Prometheus and its promtool for the tests of metrics, where the system's packages have them. The package is
 * unpacked into .build/ and not installed: installing it would start a service, on a port that relays use.
 */
export function ensurePrometheus() {
  const folder = join(root, '.build', 'prometheus')
  if (existsSync(join(folder, 'usr', 'bin', 'promtool')) || onPath('promtool') !== undefined) return
  if (process.platform !== 'linux' || onPath('apt-get') === undefined || onPath('dpkg-deb') === undefined) return
  console.error('nightjar: unpacking Prometheus from the system’s packages (about 20 MB, once) …')
  mkdirSync(folder, { recursive: true })
  const run = (command, ...args) => spawnSync(command, args, { cwd: folder, stdio: ['ignore', 2, 2] }).status === 0
  const download = () => run('apt-get', '-qq', '-o', 'APT::Sandbox::User=root', 'download', 'prometheus')
  // Only root may renew the lists; without any there is nothing to be found.
  if (!download() && process.getuid() === 0 && run('apt-get', '-qq', 'update')) download()
  const archive = readdirSync(folder).find((name) => name.endsWith('.deb'))
  if (archive === undefined) return
  run('dpkg-deb', '--extract', archive, '.')
  rmSync(join(folder, archive))
}

function findBrowser() {
  const wanted = process.env.NIGHTJAR_BROWSER
  return wanted ? wanted : browsers.map(onPath).find((path) => path !== undefined)
}

function onPath(name) {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
}

/** npm, started from within `npm test`, must not take the outer npm's settings for arguments of its own. */
function environmentForNpm() {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^npm_(config_(?!registry|userconfig)|package_|lifecycle_)/i.test(name),
  )
  return Object.fromEntries(inherited)
}

/** Runs `node …args` with inherited stdio and hands signals on; resolves with its exit code. */
export function runNode(node, args, environment = {}) {
  const child = spawn(node, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...environment } })
  const handOn = (signal) => child.kill(signal)
  for (const signal of signals) process.on(signal, handOn)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      for (const each of signals) process.off(each, handOn)
      resolve(signal === null ? code : 1)
    })
  })
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
