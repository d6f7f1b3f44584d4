/**
 * Whether the clock of this machine is right, by what the servers say (Date, RFC 9110 section 6.6.1) that the configuration
 * names anyhow: where the network document comes from, and the providers of a gateway. Nobody else is asked. One that agrees
 * is enough: two clocks that are wrong are seldom wrong by the same.
 */
import { second } from '@nightjar/shared/runtime'
import type { RelayConfig } from '../config.ts'
import { authorization } from '../gateway/credentials.ts'
import type { CliContext } from './context.ts'
import type { Finding } from './finding.ts'

const answerTimeout = 10 * second
/** Well within what keys and documents are dated by, and beyond the second of a Date and a slow answer. */
const tolerance = 30 * second
const subject = 'clock'

export async function checkClock({ clock }: CliContext, config: RelayConfig): Promise<readonly Finding[]> {
  const urls = [
    config.network.document,
    ...Object.values(config.gateway?.chains ?? {}).flatMap(({ upstreams }) => upstreams.map(({ url }) => url)),
  ].filter((text) => /^https?:/.test(text))
  const told = await Promise.all(urls.map((url) => aheadOf(url, clock.now)))
  const [least] = told.filter((ahead) => ahead !== undefined).sort((a, b) => Math.abs(a) - Math.abs(b))
  if (least === undefined) {
    return [{ subject, status: 'note', finding: 'not compared, as no server that is configured says the time' }]
  }
  if (Math.abs(least) <= tolerance)
    return [{ subject, status: 'ok', finding: 'agrees with a server that is configured' }]
  const finding = `${Math.round(Math.abs(least) / second)} s ${least > 0 ? 'ahead of' : 'behind'} what servers say that are configured`
  const remedy =
    'Have it set by the network (timedatectl set-ntp true, or chrony): documents, keys and certificates are judged by it.'
  return [
    { subject, status: 'problem', finding, remedy, code: least > 0 ? 'document-expired' : 'document-not-yet-valid' },
  ]
}

/** By how much our clock is ahead of the server's, in milliseconds; undefined where it says nothing of its. */
async function aheadOf(text: string, now: () => number): Promise<number | undefined> {
  const url = new URL(text)
  const headers = authorization(url)
  url.username = ''
  url.password = ''
  try {
    const asked = now()
    // Whatever it thinks of HEAD, its answer has a date.
    const response = await fetch(url, { method: 'HEAD', headers, signal: AbortSignal.timeout(answerTimeout) })
    // A cache says when its copy was made, and how old that is (RFC 9111, section 5.1).
    const age = Number(response.headers.get('age') ?? 0) * second
    const theirs = Date.parse(response.headers.get('date') ?? '') + age
    return Number.isFinite(theirs) ? (asked + now()) / 2 - theirs : undefined
  } catch {
    // Who cannot be reached is told elsewhere.
    return undefined
  }
}
