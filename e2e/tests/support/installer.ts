/** scripts/install.sh as a user runs it, in a home folder of the test's; and service managers that only pretend. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { distFolder } from '../../src/network/index.ts'

export interface Home {
  readonly folder: string
  /** A file below it. */
  path(...names: string[]): string
  run(command: string, ...args: readonly string[]): Promise<Ended>
  /** install.sh */
  install(...args: readonly string[]): Promise<Ended>
  /** The same with these variables in addition, as NAME=VALUE. */
  installWith(environment: readonly string[], ...args: readonly string[]): Promise<Ended>
  /** Of each file and folder its place, and of files what is in them. */
  tree(): Promise<readonly string[]>
}

export interface Ended {
  readonly code: number | null
  /** stdout and stderr. */
  readonly output: string
}

/** A home with two browsers in it. What runs there finds neither the user's variables nor their session's bus. */
export async function makeHome(folder: string): Promise<Home> {
  const path = (...names: string[]) => join(folder, ...names)
  await mkdir(path('.config/chromium/Default'), { recursive: true })
  await writeFile(path('.config/chromium/Local State'), '{}')
  await mkdir(path('.config/mozilla/firefox/x.default'), { recursive: true })
  await mkdir(path('run'), { mode: 0o700 })
  await mkdir(path('bin'))
  const env = {
    HOME: folder,
    XDG_RUNTIME_DIR: path('run'),
    PATH: [path('bin'), dirname(process.execPath), '/usr/bin', '/bin'].join(delimiter),
  }
  const run = (command: string, ...args: readonly string[]) =>
    new Promise<Ended>((resolve, reject) => {
      // Nobody answers questions.
      const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
      let output = ''
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (bytes: Buffer) => {
          output += bytes.toString('utf8')
        })
      }
      child.once('error', reject)
      child.once('close', (code) => resolve({ code, output }))
    })
  const script = join(dirname(distFolder()), 'scripts', 'install.sh')
  return {
    folder,
    path,
    run,
    install: (...args) => run('/bin/sh', script, ...args),
    installWith: (environment, ...args) => run('/usr/bin/env', ...environment, '/bin/sh', script, ...args),
    async tree() {
      const entries = await readdir(folder, { recursive: true, withFileTypes: true })
      const described = entries.map(async (entry) => {
        const place = join(entry.parentPath, entry.name)
        return entry.isFile() ? `${place} ${await digestOf(place)}` : place
      })
      return (await Promise.all(described)).sort()
    },
  }
}

async function digestOf(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex')
}

export interface Pretended {
  /** What it was asked to do. */
  asked(): Promise<readonly string[]>
  /** The process that it started. */
  pid(): Promise<number>
}

/**
 * Puts a `systemctl` on the home's PATH that starts and ends what the unit says, as far as the tests need it.
 * @param folder where it writes what it was asked, and the number of the process
 */
export function pretendSystemd(home: Home, folder: string): Promise<Pretended> {
  const unit = home.path('.config/systemd/user/nightjar.service')
  return pretend(home, folder, 'systemctl', {
    start: 'restart',
    command: `sed -n 's/^ExecStart=/exec /p' '${unit}'`,
    stop: 'disable',
  })
}

/** The same for macOS. */
export async function pretendLaunchd(home: Home, folder: string): Promise<Pretended> {
  await writeProgram(home.path('bin/uname'), '#!/bin/sh\necho Darwin\n')
  const plist = home.path('Library/LaunchAgents/io.nightjar.daemon.plist')
  // Its arguments are the strings of the one array, on one line.
  const command = `sed -n '/<array>/{s/<[^>]*>/ /g;s/^/exec /;p;}' '${plist}'`
  return pretend(home, folder, 'launchctl', { start: 'bootstrap', command, stop: 'bootout' })
}

async function pretend(
  home: Home,
  folder: string,
  name: string,
  { start, command, stop }: { start: string; command: string; stop: string },
): Promise<Pretended> {
  const [log, pid] = [join(folder, `${name}.log`), join(folder, `${name}.pid`)]
  const script = `#!/bin/sh
echo "$*" >>'${log}'
case "$*" in
  *${start}*)
    sh -c "$(${command})" >/dev/null 2>&1 &
    echo $! >'${pid}'
    ;;
  *${stop}*) kill "$(cat '${pid}')" ;;
esac
`
  await writeProgram(home.path('bin', name), script)
  return {
    asked: async () => (await readFile(log, 'utf8')).trim().split('\n'),
    pid: async () => Number(await readFile(pid, 'utf8')),
  }
}

async function writeProgram(file: string, text: string): Promise<void> {
  await writeFile(file, text)
  await chmod(file, 0o755)
}
