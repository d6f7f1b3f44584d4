/**
 * Asks the gateway a sealed question as a client would: the handshake against its own envelope key, a question sealed and
 * opened, its answer sealed and opened. Nothing leaves the process; what it shows is that clients can be served with the
 * key that they are told of.
 */
import type { Crypto } from '@nightjar/shared/crypto'
import { counterOf, EnvelopeSession } from '@nightjar/shared/envelope'
import { NightjarError } from '@nightjar/shared/errors'
import { answerHandshake, purpose, type ResponderSecrets, startHandshake } from '@nightjar/shared/handshake'
import { decodeAnswer, decodeQuestion, encodeAnswer, encodeQuestion } from '@nightjar/shared/rpc'

const question = { chain: 1, cells: 1, method: 'eth_chainId' }
const outcome = { result: '0x1' }

/**
 * @param keyId the envelope key that clients are told of
 * @throws NightjarError where a client could not be answered: `unknown-key`, `handshake-failed`, `envelope-rejected`
 */
export async function testEnvelope(crypto: Crypto, secrets: ResponderSecrets, keyId: Uint8Array): Promise<void> {
  const pair = secrets.findKey(keyId, purpose.envelope)
  if (pair === undefined) throw new NightjarError('unknown-key')
  const responder = { identity: secrets.identity, key: pair.publicKey, keyId }
  const handshake = await startHandshake(crypto, { purpose: purpose.envelope, depth: 0, responder })
  const answered = await answerHandshake(crypto, handshake.hello, secrets)
  const { keys } = await handshake.finish(answered.reply)
  const client = new EnvelopeSession(crypto, keys, 'client')
  const gateway = new EnvelopeSession(crypto, answered.keys, 'gateway')
  try {
    const record = client.seal(encodeQuestion(question), 1)
    const asked = decodeQuestion(gateway.open(record))
    const answer = gateway.seal(encodeAnswer(outcome), 1, counterOf(record))
    const told = decodeAnswer(client.open(answer, counterOf(record)))
    const isSame = asked.method === question.method && 'result' in told && told.result === outcome.result
    if (!isSame) throw new NightjarError('envelope-rejected', { detail: 'not what was sealed' })
  } finally {
    client.destroy()
    gateway.destroy()
  }
}
