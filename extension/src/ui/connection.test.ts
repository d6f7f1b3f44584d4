import { second } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import { expect, test } from 'vitest'
import type { UiCommand } from '../messages/ui.ts'
import { openConnection, type View } from './connection.ts'
import { fixtures } from './testing/fixtures.ts'

/** A background whose ports the test answers and closes. */
function opened() {
  const clock = new FakeClock()
  const ports: { sent: UiCommand[]; tell: (message: unknown) => void; close: () => void }[] = []
  const shown: View[] = []
  const background = openConnection({
    connect() {
      const port = { sent: [] as UiCommand[], tell: (_: unknown) => {}, close: () => {} }
      ports.push(port)
      return {
        postMessage: (command) => void port.sent.push(command),
        onMessage: { addListener: (listener) => (port.tell = listener) },
        onDisconnect: { addListener: (listener) => (port.close = listener) },
      }
    },
    clock,
    show: (view) => shown.push(view),
  })
  return { clock, background, ports, last: () => ports.at(-1) as (typeof ports)[0], shown: () => shown.at(-1) as View }
}

const { snapshot } = fixtures.private

test('shows what the background tells, and sends commands', () => {
  const { background, last, shown } = opened()
  expect(shown()).toEqual({})
  last().tell({ snapshot })
  expect(shown()).toEqual({ snapshot })
  last().tell({ saved: true })
  expect(shown()).toEqual({ snapshot, answer: { saved: true } })
  background.send({ command: 'disconnect' })
  expect(last().sent).toEqual([{ command: 'disconnect' }])
})

test('a closed port is opened again at once, and the old snapshot stands only for a moment', () => {
  const { clock, ports, last, shown } = opened()
  last().tell({ snapshot })
  last().close()
  expect(ports).toHaveLength(2)
  clock.advance(1.9 * second)
  expect(shown().snapshot).toBe(snapshot)
  clock.advance(0.2 * second)
  expect(shown().snapshot).toBeUndefined()
  last().tell({ snapshot })
  expect(shown().snapshot).toBe(snapshot)
})

test('a background that cannot start is asked ever more slowly, and what was sent meanwhile is not lost', () => {
  const { clock, background, ports, last, shown } = opened()
  last().tell({ snapshot })
  last().close()
  last().close()
  expect(shown().snapshot).toBeUndefined()
  background.send({ command: 'connect' })
  const opening: number[] = []
  for (let start = clock.now(); opening.length < 6; ) {
    const before = ports.length
    while (ports.length === before) clock.advance(10)
    opening.push(clock.now() - start)
    start = clock.now()
    if (opening.length === 1) expect(last().sent).toEqual([{ command: 'connect' }])
    last().close()
  }
  expect(opening).toEqual([250, 500, 1000, 2000, 4000, 5000])
})
