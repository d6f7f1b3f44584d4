import { expect, test } from 'vitest'
import { Emitter } from './emitter.ts'

function setUp() {
  const emitter = new Emitter()
  const heard: string[] = []
  const says = (name: string) => () => heard.push(name)
  return { emitter, heard, says }
}

test('listeners are called in the order of their adding, with what was emitted', () => {
  const emitter = new Emitter()
  const heard: unknown[] = []
  emitter.add('message', (...args) => heard.push(['a', ...args]))
  emitter.add('message', (...args) => heard.push(['b', ...args]))
  emitter.add('connect', () => heard.push('connect'))
  emitter.emit('message', 1, 2)
  expect(heard).toEqual([
    ['a', 1, 2],
    ['b', 1, 2],
  ])
})

test('the same function twice is called twice, and removed one at a time, the latest first', () => {
  const { emitter, heard, says } = setUp()
  const twice = says('twice')
  emitter.add('e', twice)
  emitter.add('e', says('between'))
  emitter.add('e', twice)
  emitter.emit('e')
  emitter.remove('e', twice)
  emitter.emit('e')
  emitter.remove('e', twice)
  emitter.remove('e', twice)
  emitter.emit('e')
  expect(heard).toEqual(['twice', 'between', 'twice', 'twice', 'between', 'between'])
})

test('once is once, also when the listener emits again, and can be removed before', () => {
  const { emitter, heard, says } = setUp()
  emitter.add(
    'e',
    () => {
      heard.push('once')
      emitter.emit('e')
    },
    true,
  )
  const never = says('never')
  emitter.add('e', never, true)
  emitter.remove('e', never)
  emitter.emit('e')
  emitter.emit('e')
  expect(heard).toEqual(['once'])
})

test('a listener removed or added while an event is told counts from the next one on', () => {
  const { emitter, heard, says } = setUp()
  const second = says('second')
  emitter.add(
    'e',
    () => {
      emitter.remove('e', second)
      emitter.add('e', says('added'))
    },
    true,
  )
  emitter.add('e', second)
  emitter.emit('e')
  emitter.emit('e')
  expect(heard).toEqual(['second', 'added'])
})

test('removeAll forgets one event or all', () => {
  const { emitter, heard, says } = setUp()
  emitter.add('a', says('a'))
  emitter.add('b', says('b'))
  emitter.add('c', says('c'))
  emitter.removeAll('a')
  for (const event of ['a', 'b', 'c']) emitter.emit(event)
  emitter.removeAll()
  for (const event of ['a', 'b', 'c']) emitter.emit(event)
  expect(heard).toEqual(['b', 'c'])
})

test('a listener that throws does not keep others from their call, and its error is not lost', async () => {
  const { emitter, heard, says } = setUp()
  const thrown = new Promise((resolve) => process.once('uncaughtException', resolve))
  const handlers = process.listeners('uncaughtException').slice(0, -1)
  for (const handler of handlers) process.off('uncaughtException', handler)
  emitter.add('e', () => {
    throw new Error('of the page')
  })
  emitter.add('e', says('next'))
  emitter.emit('e')
  expect(heard).toEqual(['next'])
  expect(await thrown).toMatchObject({ message: 'of the page' })
  for (const handler of handlers) process.on('uncaughtException', handler)
})
