/** A stream that its client does not read. */
import { u32, utf8 } from '@nightjar/shared/bytes'
import type { Hop } from '@nightjar/shared/circuit'

/** Has `hop` pour so many; takes what comes, and deals with nothing of it until told. */
export function openStalled(hop: Hop, bytes: number) {
  let cells = 0
  let hasEnded = false
  const stream = hop.streams.open(
    'pour',
    u32(bytes),
    {
      onData() {
        cells += 1
        if (isReading) stream.consumed()
      },
      onEnd(code) {
        hasEnded = code === 'done'
      },
    },
    { data: utf8('x'), end: true },
  )
  let isReading = false
  return {
    state: () => ({ cells, hasEnded }),
    goOn() {
      isReading = true
      for (let cell = cells; cell > 0; cell--) stream.consumed()
    },
  }
}
