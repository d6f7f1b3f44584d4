/** Checks that the endpoint's port is the daemon's, before a wallet is sent there (shared/bridge, proof.ts). */

import { challengeBytes, endpointProof } from '@nightjar/shared/bridge'
import { equalBytes, fromHex, hex } from '@nightjar/shared/bytes'
import type { Crypto } from '@nightjar/shared/crypto'
import { NightjarError } from '@nightjar/shared/errors'
import { type Clock, second, within } from '@nightjar/shared/runtime'

export interface EndpointCheck {
  readonly crypto: Crypto
  readonly clock: Clock
  /** The body of a 200 answer; undefined for any other. @throws where nobody answers */
  post(url: string, body: string): Promise<string | undefined>
}

/** The daemon answers at once; another program may take the question and never say a word. */
const answerTimeout = 5 * second

/** The parts of an endpoint's URL, which the daemon gives with a chain id at its end. */
export interface Endpoint {
  /** Without the chain id and the slash before it. */
  readonly base: string
  readonly port: number
}

/** @throws NightjarError `endpoint-not-ours` where the URL is none of a loopback endpoint */
export function parseEndpoint(url: string): Endpoint {
  const [, base, port] = /^(http:\/\/127\.0\.0\.1:(\d{1,5})\/[0-9a-f]{32})\/\d+$/.exec(url) ?? []
  if (base === undefined || Number(port) > 0xffff)
    throw new NightjarError('endpoint-not-ours', { detail: 'not a loopback address' })
  return { base, port: Number(port) }
}

/** @throws NightjarError `endpoint-not-ours` */
export async function checkEndpoint(check: EndpointCheck, endpoint: Endpoint, key: Uint8Array): Promise<void> {
  const { crypto, clock } = check
  const late = () => new NightjarError('timed-out')
  const challenge = crypto.randomBytes(challengeBytes)
  let answer: string | undefined
  try {
    answer = await within(clock, answerTimeout, check.post(`${endpoint.base}/proof`, hex(challenge)), late)
  } catch (cause) {
    throw new NightjarError('endpoint-not-ours', { detail: 'nobody answers there', cause })
  }
  const expected = endpointProof(crypto.hash.hmac, key, endpoint.port, challenge)
  if (answer === undefined || !isProof(answer, expected)) throw new NightjarError('endpoint-not-ours')
}

function isProof(answer: string, expected: Uint8Array): boolean {
  return /^[0-9a-f]{64}$/.test(answer) && equalBytes(fromHex(answer), expected)
}
