import { expect, test } from 'vitest'
import { turn } from '../testing/index.ts'
import { ExtendQueue } from './extendQueue.ts'

const [silent, other] = [Uint8Array.of(1), Uint8Array.of(2)]

/** A queue whose EXTENDs end when the test says so; `begun` names those that have begun. */
function setUp() {
  const queue = new ExtendQueue()
  const begun: string[] = []
  const ends: ((error?: Error) => void)[] = []
  const add = (name: string, relay: Uint8Array) =>
    queue
      .add(relay, () => {
        begun.push(name)
        return new Promise<string>((resolve, reject) => ends.push((error) => (error ? reject(error) : resolve(name))))
      })
      .catch((error: Error) => error)
  const end = async (error?: Error) => {
    ends.shift()?.(error)
    await turn()
  }
  return { add, end, begun }
}

test('one after the other', async () => {
  const { add, end, begun } = setUp()
  const all = [add('a', other), add('b', silent), add('c', other)]
  await turn()
  expect(begun).toEqual(['a'])
  await end()
  expect(begun).toEqual(['a', 'b'])
  await end()
  await end()
  expect(await Promise.all(all)).toEqual(['a', 'b', 'c'])
})

test('those that wait for a relay that failed fail with it, others go on', async () => {
  const { add, end, begun } = setUp()
  const all = [add('a', silent), add('b', silent), add('c', other), add('d', silent)]
  await turn()
  const error = new Error('silent')
  await end(error)
  await end()
  expect(await Promise.all(all)).toEqual([error, error, 'c', error])
  expect(begun).toEqual(['a', 'c'])
})

test('one that is asked for afterwards has its own turn', async () => {
  const { add, end, begun } = setUp()
  const first = add('a', silent)
  await turn()
  await end(new Error('silent'))
  await first
  const second = add('b', silent)
  await turn()
  await end()
  expect([await second, begun]).toEqual(['b', ['a', 'b']])
})

test('one that was asked for while another was under way, which then stood, has its own turn', async () => {
  const { add, end, begun } = setUp()
  const [first, second, third] = [add('a', silent), add('b', silent), add('c', silent)]
  await turn()
  await end()
  const error = new Error('silent')
  await end(error)
  expect([await first, await second, await third, begun]).toEqual(['a', error, error, ['a', 'b']])
})
