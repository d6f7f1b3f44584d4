/**
 * Runs a script in namespaces of its own (network, mounts, processes), which it can fill with a false Internet and which
 * nothing leaves. Works without root where unprivileged user namespaces are allowed.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Each name that is looked up there gets an address of its own from this network, and all of it is this machine. */
export const falseInternet = '198.51.100'

/** @returns what the script printed as its last line, as JSON. @throws Error with all that it printed where it failed */
export async function runInNamespace(script: string, timeout: number): Promise<unknown> {
  const folder = await mkdtemp(join(tmpdir(), 'nightjar-namespace-'))
  try {
    const resolver = join(folder, 'resolv.conf')
    await writeFile(resolver, 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n')
    const setUp = [
      'set -e',
      'ip link set lo up',
      // A way out that leads nowhere, so that the browser takes itself for connected.
      'ip link add out type veth peer name nowhere',
      'ip link set nowhere up',
      'ip link set out up',
      'ip address add 198.18.0.2/24 dev out',
      'ip route add default via 198.18.0.1 dev out',
      // Whatever is connected to there arrives here, whichever the address.
      `ip route add local ${falseInternet}.0/24 dev lo`,
      `mount --bind '${resolver}' /etc/resolv.conf`,
      `exec '${process.execPath}' '${script}'`,
    ].join('\n')
    const asUser = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']
    // With the script ends all that it has started.
    const own = ['--net', '--mount', '--pid', '--fork', '--mount-proc', '--kill-child']
    const args = [...asUser, ...own, 'sh', '-c', setUp]
    const { stdout } = await run('unshare', args, { timeout, maxBuffer: 16 * 1024 * 1024 })
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
  } finally {
    await rm(folder, { recursive: true })
  }
}
