/** Hostile behaviours on the streams of a circuit to a gateway, and in the envelopes on them. */
import type { Behaviour, Scene } from './behaviour.ts'
import { HostileCircuit } from './circuit.ts'
import { HostileLink } from './link.ts'
import { encodeBegin, message, openRecord, partSize, sealRecord, u16 } from './wire.ts'

const streamsPerBranch = 256
const questionCells = 1024
const questionBytesPerBranch = 4 * 1024 * 1024
/** Stream 1 greets, in two cells. */
const afterGreeting = 2

export const streamBehaviours: readonly Behaviour[] = [
  {
    name: 'stream flood',
    expected: /^256 streams, then limit-reached$|^circuit destroyed/,
    run: (scene) =>
      withGateway(scene, async (circuit) => {
        const count = streamsPerBranch + 1
        const begins = Array.from({ length: count }, (_, index) =>
          circuit.cell(message.begin, afterGreeting + index, encodeBegin('rpc', Buffer.alloc(1))),
        )
        await circuit.send(begins)
        const last = afterGreeting + count - 1
        return `${count - 1} streams, then ${await circuit.streamEnd(last)}`
      }),
  },
  {
    name: 'credit lies',
    expected: /^circuit destroyed with protocol-violation$/,
    async run(scene) {
      // More than there is to give back, nothing, and for a stream what belongs to none.
      const lies = [
        { stream: 0, cells: 0xffff },
        { stream: 0, cells: 0 },
        { stream: 2, cells: 0xffff },
      ]
      const outcomes: string[] = []
      for (const { stream, cells } of lies) {
        const outcome = await withGateway(scene, async (circuit) => {
          const begin = circuit.cell(message.begin, 2, encodeBegin('rpc', Buffer.alloc(1)))
          await circuit.send([begin, circuit.cell(message.credit, stream, u16(cells))])
          return ended(circuit)
        })
        outcomes.push(outcome)
      }
      return [...new Set(outcomes)].join('; ')
    },
  },
  {
    name: 'giant JSON',
    expected: /^stream ended with limit-reached$/,
    run: (scene) =>
      withGateway(scene, async (circuit) => {
        await circuit.send([circuit.cell(message.begin, 2, encodeBegin('rpc', Buffer.alloc(1)))])
        await circuit.sendWithCredit(2, Buffer.alloc((questionCells + 8) * partSize, 1), { stream: 1, branch: 3 })
        return `stream ended with ${circuit.endOf(2) ?? (await circuit.streamEnd(2))}`
      }),
  },
  {
    name: 'deep JSON',
    expected: /^answered with bad-request$/,
    run: (scene) =>
      withGateway(scene, async (circuit, keys) => {
        const nested = '['.repeat(50_000) + ']'.repeat(50_000)
        const question = `{"chain":31337,"cells":1,"method":"eth_call","params":${nested}}`
        const record = sealRecord(keys.forward, 0, question)
        await circuit.send([circuit.cell(message.begin, 2, encodeBegin('rpc', Buffer.alloc(0)))])
        await circuit.sendWithCredit(2, record.subarray(0, -partSize), { stream: 1, branch: 3 })
        await circuit.send([circuit.cell(message.end, 2, Buffer.concat([Buffer.of(0), record.subarray(-partSize)]))])
        const answer = openRecord(keys.backward, 0, await circuit.collect(2))
        const { error } = JSON.parse(answer) as { error?: { data?: { nightjar?: string }; message: string } }
        return `answered with ${error?.data?.nightjar ?? error?.message}`
      }),
  },
  {
    name: 'slow envelope',
    expected: /^\d+ questions without end, then limit-reached$/,
    run: (scene) =>
      withGateway(scene, async (circuit) => {
        const most = Math.ceil(questionBytesPerBranch / (questionCells * partSize)) + 1
        let branch = afterGreeting
        for (let stream = 2; stream < 2 + most; stream++) {
          // Each but for its last cell, which never comes.
          await circuit.send([circuit.cell(message.begin, stream, encodeBegin('rpc', Buffer.alloc(1)))])
          branch += 1
          const data = Buffer.alloc((questionCells - 1) * partSize, 1)
          branch = await circuit.sendWithCredit(stream, data, { stream: 1, branch })
          const end = circuit.endOf(stream)
          if (end !== undefined) return `${stream - 2} questions without end, then ${end}`
        }
        throw new Error('the gateway holds whatever it is sent')
      }),
  },
]

type Session = Awaited<ReturnType<HostileCircuit['greet']>>

/** Does `action` on a circuit to the gateway with an envelope session, and lets go of it. */
async function withGateway(
  { gateway, from }: Scene,
  action: (circuit: HostileCircuit, keys: Session) => Promise<string>,
): Promise<string> {
  const link = await HostileLink.open(gateway, from)
  try {
    const circuit = await HostileCircuit.open(link, gateway)
    return await action(circuit, await circuit.greet())
  } finally {
    link.end()
  }
}

async function ended(circuit: HostileCircuit): Promise<string> {
  await circuit.until('the circuit is ended', () => circuit.ended !== undefined)
  return circuit.ended as string
}
