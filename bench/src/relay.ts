/**
 * `relay`: cells per second through one relay process, over ws and wss, beside a plain batched echo with one AEAD per
 * cell. One driver (`nightjar-load`) measures both in turn; it seals beforehand, so that the relay is what limits.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  makeCertificates,
  programPath,
  type RelayPlan,
  runProgram,
  startProgram,
  startRelays,
} from '@nightjar/e2e/network'
import { median } from './statistics.ts'

const plan: readonly RelayPlan[] = [
  { name: 'tested', roles: ['relay'], region: 'local' },
  { name: 'sink', roles: ['relay'], region: 'local' },
]
const repeats = 3

export async function benchRelay(report: (step: string) => void): Promise<Record<string, number>> {
  const plain = await measure('none', report)
  const secure = await measure('pinned', report)
  return {
    wsCellsPerS: plain.relay,
    wssCellsPerS: secure.relay,
    limitWsCellsPerS: plain.limit,
    limitWssCellsPerS: secure.limit,
  }
}

async function measure(
  tls: 'none' | 'pinned',
  report: (step: string) => void,
): Promise<{ relay: number; limit: number }> {
  const folder = await mkdtemp(join(tmpdir(), 'nightjar-bench-'))
  const certificates = tls === 'none' ? undefined : makeCertificates(folder, ['127.0.0.1', '127.1.0.1', '127.2.0.1'])
  const relays = await startRelays({ folder, plan, upstreams: {}, tls, certificates, tapped: false, logLevel: 'warn' })
  const echoTls = certificates === undefined ? [] : ['--cert', certificates.certFile, '--key', certificates.keyFile]
  const echo = await startProgram(programPath('bench'), ['echo-server', ...echoTls])
  try {
    // The driver takes the place of this one.
    await relays.all[1]?.process.stop()
    const sinkTls =
      certificates === undefined ? [] : ['--sink-cert', certificates.certFile, '--sink-key', certificates.keyFile]
    const network = ['--network', relays.documentFile, '--trust', ...relays.trust.keys, '--threshold', '2']
    const relayArgs = ['relay-cells', ...network, '--relay', 'tested', '--sink', 'sink', ...sinkTls]
    const url = `${tls === 'none' ? 'ws' : 'wss'}://127.0.0.1:${echo.ready.port}`
    const results = { relay: [] as number[], limit: [] as number[] }
    for (let repeat = 0; repeat < repeats; repeat++) {
      report(`${tls === 'none' ? 'ws' : 'wss'}, repeat ${repeat + 1} of ${repeats}`)
      results.limit.push(await drive(['echo-cells', '--url', url]))
      results.relay.push(await drive(relayArgs))
    }
    return { relay: median(results.relay), limit: median(results.limit) }
  } finally {
    await echo.stop()
    await relays.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function drive(args: readonly string[]): Promise<number> {
  const { stdout } = await runProgram(programPath('nightjar-load'), args)
  return (JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { cellsPerS: number }).cellsPerS
}
