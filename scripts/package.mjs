/**
 * Lays out Nightjar as it is installed: `node scripts/package.mjs FOLDER`, from what was built into dist/. The folder
 * then needs neither this checkout nor a Node of the system's:
 *
 *     bin/node            the private Node (scripts/node); where there is none for the platform, a link to the system's
 *     app/nightjar.js     the program, app/node_modules the packages that it imports and what those need
 *     extension/          to be loaded into Chromium and its kin, extension-firefox/ into Firefox, as far as they were built
 *
 * A folder of earlier times is replaced as a whole. Plain JavaScript without dependencies, for Node 20 too.
 */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { BootstrapError, ensurePrivateNode, isNewEnough, root } from './bootstrap.mjs'

const dist = join(root, 'dist')
const program = join(dist, 'nightjar.js')

function layOut(folder) {
  if (!existsSync(program))
    throw new BootstrapError(`${program} is not there: node scripts/run.mjs build:package builds it.`)
  const fresh = `${folder}.new`
  rmSync(fresh, { recursive: true, force: true })
  const app = join(fresh, 'app')
  mkdirSync(app, { recursive: true })
  cpSync(program, join(app, 'nightjar.js'))
  writeFileSync(join(app, 'package.json'), '{ "type": "module" }\n')
  for (const each of packagesOf(program)) copyPackage(each, join(app, relative(root, each)))
  for (const each of ['extension', 'extension-firefox']) {
    if (existsSync(join(dist, each))) cpSync(join(dist, each), join(fresh, each), { recursive: true })
  }
  putNode(join(fresh, 'bin'))
  cpSync(join(root, 'LICENSE'), join(fresh, 'LICENSE'))
  // A daemon that runs keeps the files that it has open.
  rmSync(folder, { recursive: true, force: true })
  renameSync(fresh, folder)
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
  const own = ensurePrivateNode()
  if (own !== undefined) {
    cpSync(own, join(bin, name), { dereference: true })
    chmodSync(join(bin, name), 0o755)
  } else if (isNewEnough(process.version)) symlinkSync(process.execPath, join(bin, name))
  else throw new BootstrapError(`Nightjar needs Node 22.12 or newer, and this is ${process.version}.`)
}

try {
  const [folder] = process.argv.slice(2)
  if (folder === undefined) throw new BootstrapError('usage: node scripts/package.mjs FOLDER')
  layOut(resolve(folder))
} catch (error) {
  if (!(error instanceof BootstrapError)) throw error
  console.error(`nightjar: ${error.message}`)
  process.exitCode = 1
}
