/** A link with a program that the test plays. */
import { type BridgeEvent, bridgeVersion } from '@nightjar/shared/bridge'
import { base64 } from '@nightjar/shared/bytes'
import type { ErrorCode } from '@nightjar/shared/errors'
import { FakeClock, pattern, turn } from '@nightjar/shared/testing'
import { HostLink } from '../host/hostLink.ts'
import { ScriptedPorts } from './ports.ts'

/** What an honest program answers to hello. */
export const hello = { bridge: bridgeVersion, version: '0.1.0', proofKey: base64(pattern(32)) }

export function setUpLink() {
  const clock = new FakeClock()
  const ports = new ScriptedPorts()
  const events: BridgeEvent[] = []
  const ups: number[] = []
  const downs: ErrorCode[] = []
  const link = new HostLink({
    clock,
    version: '0.1.0',
    connectNative: ports.connect,
    onUp: () => ups.push(clock.now()),
    onDown: ({ code }) => downs.push(code),
    onEvent: (event) => events.push(event),
  })
  /** The program's answer to what was asked last, or to the request with `id`. */
  const answer = (result: unknown, id = (ports.last.posted.at(-1) as { id: number }).id) =>
    ports.last.receive({ id, result })
  const greet = async (changes = {}) => {
    answer({ ...hello, ...changes })
    await turn()
  }
  return { clock, ports, events, ups, downs, link, answer, greet }
}

/** One that is up. */
export async function upLink() {
  const all = setUpLink()
  all.link.start()
  await all.greet()
  return all
}
