import { endpointProof } from '@nightjar/shared/bridge'
import { fromHex, hex } from '@nightjar/shared/bytes'
import { nobleCrypto as crypto } from '@nightjar/shared/crypto/noble'
import { second } from '@nightjar/shared/runtime'
import { codeOf, codeOfAsync, FakeClock, pattern } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { endpointBase, endpointUrl } from '../testing/fixtures.ts'
import { checkEndpoint, parseEndpoint } from './endpointCheck.ts'

const key = pattern(32)
const proof = (challenge: string, { port = 8645, by = key } = {}) =>
  hex(endpointProof(crypto.hash.hmac, by, port, fromHex(challenge)))

/** The code with which the endpoint is refused, where `answer` is what its port answers. */
function check(answer: (challenge: string) => string | undefined | Promise<string | undefined>) {
  const clock = new FakeClock()
  const asked: [string, string][] = []
  const post = async (url: string, body: string) => {
    asked.push([url, body])
    return answer(body)
  }
  const code = codeOfAsync(() => checkEndpoint({ crypto, clock, post }, parseEndpoint(endpointUrl), key))
  return { code, clock, asked }
}

describe('the endpoint', () => {
  test('that proves itself is the daemon’s, with a new challenge each time', async () => {
    const [one, two] = [check(proof), check(proof)]
    expect([await one.code, await two.code]).toEqual([undefined, undefined])
    expect(one.asked[0]?.[0]).toBe(`${endpointBase}/proof`)
    expect(one.asked[0]?.[1]).toMatch(/^[0-9a-f]{64}$/)
    expect(one.asked[0]?.[1]).not.toBe(two.asked[0]?.[1])
    expect(one.clock.pending).toBe(0)
  })

  test.each<[string, (challenge: string) => string | undefined]>([
    ['another key', (challenge) => proof(challenge, { by: pattern(32, 2) })],
    ['the proof of another port, handed on', (challenge) => proof(challenge, { port: 8646 })],
    ['the proof of an earlier challenge', () => proof('00'.repeat(32))],
    ['an error page', () => undefined],
    ['a page', () => '<html>'],
    ['the challenge itself', (challenge) => challenge],
    ['nothing', () => ''],
    ['capital letters', (challenge) => proof(challenge).toUpperCase()],
    ['a line after it', (challenge) => `${proof(challenge)}\n`],
    ['half of it', (challenge) => proof(challenge).slice(0, 32)],
  ])('that answers with %s is not', async (_, answer) => {
    expect(await check(answer).code).toBe('endpoint-not-ours')
  })

  test('where nobody listens is not', async () => {
    expect(await check(() => Promise.reject(new TypeError('Failed to fetch'))).code).toBe('endpoint-not-ours')
  })

  test('that never answers is not, after five seconds', async () => {
    const { code, clock } = check(() => new Promise(() => undefined))
    await clock.elapse(5 * second)
    expect(await code).toBe('endpoint-not-ours')
  })
})

describe('its URL', () => {
  test('has a base and a port', () => {
    expect(parseEndpoint(endpointUrl)).toEqual({ base: endpointBase, port: 8645 })
  })

  const token = 'ab'.repeat(16)
  test.each([
    '',
    'nonsense',
    `https://127.0.0.1:8645/${token}/1`,
    `http://localhost:8645/${token}/1`,
    `http://127.0.0.2:8645/${token}/1`,
    `http://192.168.0.1:8645/${token}/1`,
    `http://127.0.0.1.evil.example:8645/${token}/1`,
    `http://127.0.0.1:8645@evil.example/${token}/1`,
    `http://evil.example/http://127.0.0.1:8645/${token}/1`,
    `http://127.0.0.1/${token}/1`,
    `http://127.0.0.1:99999/${token}/1`,
    `http://127.0.0.1:8645/${token.slice(2)}/1`,
    `http://127.0.0.1:8645/${token}/`,
    `http://127.0.0.1:8645/${token}/1?x`,
    `http://127.0.0.1:8645/${token}/1\n`,
  ])('is on this machine and nowhere else: %s is refused', (url) => {
    expect(codeOf(() => parseEndpoint(url))).toBe('endpoint-not-ours')
  })
})
