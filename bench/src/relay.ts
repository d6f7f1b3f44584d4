/**
 * `relay`: cells per second through one relay process, over ws and wss, beside a plain batched echo with one AEAD per
 * cell. One driver (`nightjar-load`) measures both in turn; it seals beforehand, so that the relay is what limits.
 */
import { drive, setRelayStage } from './relayStage.ts'
import { median } from './statistics.ts'

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
  // One link carries here what many clients would.
  const stage = await setRelayStage(tls, { cells_per_second: 0 })
  try {
    const pair = await stage.startPair()
    const results = { relay: [] as number[], limit: [] as number[] }
    for (let repeat = 0; repeat < repeats; repeat++) {
      report(`${tls === 'none' ? 'ws' : 'wss'}, repeat ${repeat + 1} of ${repeats}`)
      results.limit.push(await drive(['echo-cells', '--url', pair.echoUrl]))
      results.relay.push(await drive(['relay-cells', ...stage.sinkArgs]))
    }
    await pair.stop()
    return { relay: median(results.relay), limit: median(results.limit) }
  } finally {
    await stage.close()
  }
}
