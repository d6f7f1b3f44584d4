/**
 * Lays out Nightjar as it is installed: `node scripts/package.mjs [--build] FOLDER`, from what was built into dist/. That
 * is built first where a part is missing or older than its sources, or where that is asked for. The folder then needs
 * neither this checkout nor a Node of the system's:
 *
 *     bin/node            the private Node (scripts/node); where there is none for the platform, a link to the system's
 *     app/nightjar.js     the program, app/node_modules the packages that it imports and what those need
 *     extension/          to be loaded into Chromium and its kin, extension-firefox/ into Firefox
 *
 * A folder of earlier times is replaced as a whole, one that is something else is left alone. Plain JavaScript without
 * dependencies, for Node 20 too.
 */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { BootstrapError, ensurePrivateNode, isNewEnough, root } from './bootstrap.mjs'

const dist = join(root, 'dist')
const program = join(dist, 'nightjar.js')
const extensions = ['extension', 'extension-firefox']
/** A file of each part; what a build makes of them is as old as the oldest. */
const parts = [program, ...extensions.map((each) => join(dist, each, 'manifest.json'))]
const sources = ['shared', 'native-host', 'extension', 'vite.config.ts', 'package-lock.json']

function build(isWanted) {
  const builtAt = Math.min(...parts.map((file) => (existsSync(file) ? statSync(file).mtimeMs : 0)))
  if (!isWanted && sources.every((each) => newestIn(join(root, each)) < builtAt)) return
  const { status } = spawnSync(process.execPath, [join(root, 'scripts', 'run.mjs'), 'build:package'], {
    stdio: 'inherit',
  })
  if (status !== 0) throw new BootstrapError('The program could not be built; what is said above has to be put right.')
  for (const part of parts) if (!existsSync(part)) throw new BootstrapError(`The build has made no ${part}.`)
}

/** When the last change was made to a file or folder; a folder changes with what is added and removed. */
function newestIn(path) {
  const stats = statSync(path)
  if (!stats.isDirectory()) return stats.mtimeMs
  const names = readdirSync(path).filter((name) => name !== 'node_modules')
  return Math.max(stats.mtimeMs, ...names.map((name) => newestIn(join(path, name))))
}

function layOut(folder) {
  const work = mkdtempSync(`${folder}.`)
  try {
    const fresh = join(work, 'new')
    fill(fresh)
    // A daemon that runs keeps the files that it has open.
    swap(folder, fresh, join(work, 'old'))
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** There is always a whole program at `folder`, but for the moment between two renames. */
function swap(folder, fresh, old) {
  const isThere = existsSync(folder)
  if (isThere) renameSync(folder, old)
  try {
    renameSync(fresh, folder)
  } catch (error) {
    if (isThere) renameSync(old, folder)
    throw error
  }
}

/** What is there must have been laid out by this script, or be empty. */
function isOurs(folder) {
  if (!existsSync(folder)) return true
  return (
    statSync(folder).isDirectory() &&
    (existsSync(join(folder, 'app', 'nightjar.js')) || readdirSync(folder).length === 0)
  )
}

function fill(fresh) {
  const app = join(fresh, 'app')
  mkdirSync(app, { recursive: true })
  cpSync(program, join(app, 'nightjar.js'))
  writeFileSync(join(app, 'package.json'), '{ "type": "module" }\n')
  for (const each of packagesOf(program)) copyPackage(each, join(app, relative(root, each)))
  for (const each of extensions) cpSync(join(dist, each), join(fresh, each), { recursive: true })
  putNode(join(fresh, 'bin'))
  cpSync(join(root, 'LICENSE'), join(fresh, 'LICENSE'))
}

/** The folders of the packages that `file` imports, and of those that these need in turn. */
function packagesOf(file) {
  const imported = [...readFileSync(file, 'utf8').matchAll(/^import [^\n]*"([^"\n]+)";$/gm)]
    .map(([, from]) => from)
    .filter((from) => !/^(node:|\.)/.test(from))
    .map((from) => /^(@[^/]+\/)?[^/]+/.exec(from)[0])
  const found = new Set()
  const add = (name, from, isOptional) => {
    const folder = folderOf(name, from)
    if (folder === undefined && !isOptional) throw new BootstrapError(`The package ${name} is not installed.`)
    if (folder === undefined || found.has(folder)) return
    found.add(folder)
    const { dependencies = {}, optionalDependencies = {} } = JSON.parse(
      readFileSync(join(folder, 'package.json'), 'utf8'),
    )
    for (const each of Object.keys(dependencies)) add(each, folder, each in optionalDependencies)
  }
  for (const name of imported) add(name, root, false)
  return found
}

/** As Node looks for it: in the node_modules of each folder upward. */
function folderOf(name, from) {
  for (let folder = from; folder.startsWith(root); folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name)
    if (existsSync(join(candidate, 'package.json'))) return candidate
  }
  return undefined
}

/** Without the packages inside it, which are copied by themselves, and without native code for other machines. */
function copyPackage(from, to) {
  const { platform, arch } = process
  cpSync(from, to, {
    recursive: true,
    dereference: true,
    filter: (file) => {
      const [first, second] = relative(from, file).split(sep)
      if (first === 'node_modules') return false
      return first !== 'prebuilds' || second === undefined || second === `${platform}-${arch}`
    },
  })
}

function putNode(bin) {
  mkdirSync(bin)
  const name = process.platform === 'win32' ? 'node.exe' : 'node'
  const own = privateNode()
  if (own !== undefined) {
    cpSync(own, join(bin, name), { dereference: true })
    chmodSync(join(bin, name), 0o755)
  } else if (isNewEnough(process.version)) symlinkSync(process.execPath, join(bin, name))
  else throw new BootstrapError(`Nightjar needs Node 22.12 or newer, and this is ${process.version}.`)
}

/** Undefined where the system's is to be used. */
function privateNode() {
  try {
    return ensurePrivateNode()
  } catch (error) {
    if (!(error instanceof BootstrapError) || !isNewEnough(process.version)) throw error
    console.error(`nightjar: ${error.message} Meanwhile it uses ${process.execPath}.`)
    return undefined
  }
}

try {
  const args = process.argv.slice(2)
  const [folder, ...more] = args.filter((each) => each !== '--build')
  if (folder === undefined || more.length > 0)
    throw new BootstrapError('usage: node scripts/package.mjs [--build] FOLDER')
  if (!isOurs(folder)) throw new BootstrapError(`${folder} is there and no program of Nightjar's; it is left alone.`)
  build(args.includes('--build'))
  layOut(resolve(folder))
} catch (error) {
  if (!(error instanceof BootstrapError)) throw error
  console.error(`nightjar: ${error.message}`)
  process.exitCode = 1
}
