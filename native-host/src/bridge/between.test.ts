import { encodeFrames, FrameDecoder } from '@nightjar/shared/bridge'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Between } from './between.ts'

const daemons = [{ n: 1 }, { text: 'x'.repeat(1_400_000) }, {}, { partial: 1 }, { n: 5 }]
const whole = Buffer.concat(daemons.flatMap((message) => encodeFrames(message)))

test('wherever what the daemon says is cut, its messages come whole and in order, and so does each that is put between', async () => {
  const cuts = fc.uniqueArray(fc.oneof(fc.nat(whole.length), fc.nat(30)), { minLength: 1, maxLength: 8 })
  await fc.assert(
    fc.asyncProperty(cuts, async (found) => {
      const messages: unknown[] = []
      const decoder = new FrameDecoder((message) => messages.push(message))
      const between = new Between()
      between.on('data', (bytes: Buffer) => decoder.push(bytes))
      const sorted = [0, ...found.sort((a, b) => a - b), whole.length]
      for (const [index, cut] of sorted.slice(1).entries()) {
        between.write(whole.subarray(sorted[index], cut))
        between.put({ own: index })
      }
      const ended = new Promise((resolve) => between.once('end', resolve))
      between.end()
      await ended
      const isOwn = (message: unknown) => Object.hasOwn(message as object, 'own')
      expect(messages.filter((message) => !isOwn(message))).toEqual(daemons)
      expect(messages.filter(isOwn)).toEqual(sorted.slice(1).map((_, own) => ({ own })))
    }),
    { numRuns: 25 },
  )
})
