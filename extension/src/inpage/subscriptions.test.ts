import { turn } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { pageOrphaned, timedOut, turnedOff } from './failures.ts'
import type { SubscriptionMessage } from './subscriptions.ts'
import { FakeBackground } from './testing/background.ts'

const question = { method: 'eth_subscribe', params: ['newHeads'], chain: 1, door: 'wallet' } as const
const subscribing = { ...question, params: [...question.params] }

function end(id: string) {
  return { ...subscribing, method: 'eth_unsubscribe', params: [id] }
}

async function subscribed(id = '0xa') {
  const background = new FakeBackground()
  const heard: SubscriptionMessage['data'][] = []
  const answer = background.subscriptions.subscribe(subscribing, ({ data }) => heard.push(data))
  await background.answerLast({ result: id })
  expect(await answer).toEqual({ result: id })
  return { background, heard }
}

test('events reach the one who subscribed, under the id it was given', async () => {
  const { background, heard } = await subscribed()
  background.tell({ event: 'subscription', subscription: '0xa', result: { number: '0x1' } })
  background.tell({ event: 'subscription', subscription: '0xb', result: { number: '0x2' } })
  expect(heard).toEqual([{ subscription: '0xa', result: { number: '0x1' } }])
})

test('an event right behind the answer is not missed', async () => {
  const background = new FakeBackground()
  const heard: unknown[] = []
  void background.subscriptions.subscribe(subscribing, ({ data }) => heard.push(data.result))
  background.answer(background.last.id, { result: '0xa' })
  // Messages of a port are tasks of their own.
  await turn()
  background.tell({ event: 'subscription', subscription: '0xa', result: 1 })
  expect(heard).toEqual([1])
})

test('after unsubscribing nothing is heard, and the background knows', async () => {
  const { background, heard } = await subscribed()
  const answer = background.subscriptions.unsubscribe(end('0xa'))
  expect(background.last).toMatchObject(end('0xa'))
  background.tell({ event: 'subscription', subscription: '0xa', result: 1 })
  await background.answerLast({ result: true })
  expect(await answer).toEqual({ result: true })
  expect(heard).toEqual([])
})

test('whether an id that is not known here was a subscription, the background says', async () => {
  const background = new FakeBackground(() => ({ result: false }))
  expect(await background.subscriptions.unsubscribe(end('0xff'))).toEqual({ result: false })
  expect(await background.subscriptions.unsubscribe({ ...end(''), params: [] })).toEqual({ result: false })
})

test('one that the background could not go on with is made anew after a while, under the id that the page knows', async () => {
  const { background, heard } = await subscribed()
  background.tell({ event: 'ended', subscription: '0xother' })
  expect(background.later).toEqual([])
  background.tell({ event: 'ended', subscription: '0xa' })
  expect(background.methods).toEqual(['eth_subscribe'])
  background.later[0]?.()
  await background.answerLast({ result: '0xb' })
  background.tell({ event: 'subscription', subscription: '0xb', result: 1 })
  expect(heard).toEqual([{ subscription: '0xa', result: 1 }])
})

describe('after the background was stopped', () => {
  test('subscriptions are made anew, and the page sees its own id', async () => {
    const { background, heard } = await subscribed()
    background.tell({ event: 'reset' })
    expect(background.last).toMatchObject(subscribing)
    await background.answerLast({ result: '0xb' })
    background.tell({ event: 'subscription', subscription: '0xb', result: 1 })
    background.tell({ event: 'subscription', subscription: '0xa', result: 2 })
    expect(heard).toEqual([{ subscription: '0xa', result: 1 }])
    void background.subscriptions.unsubscribe(end('0xa'))
    expect(background.last).toMatchObject(end('0xb'))
  })

  test('none is made twice when it is stopped again meanwhile: the bridge repeats what has no answer', async () => {
    const { background } = await subscribed()
    background.tell({ event: 'reset' })
    background.tell({ event: 'reset' })
    expect(background.methods).toEqual(['eth_subscribe', 'eth_subscribe'])
  })

  test('one that could not be made is tried again later', async () => {
    const { background, heard } = await subscribed()
    background.tell({ event: 'reset' })
    await background.answerLast({ error: timedOut })
    expect(background.later).toHaveLength(1)
    background.later[0]?.()
    await background.answerLast({ result: '0xc' })
    background.tell({ event: 'subscription', subscription: '0xc', result: 1 })
    expect(heard).toEqual([{ subscription: '0xa', result: 1 }])
  })

  test('one that the page ended before it was made anew is ended there', async () => {
    const { background, heard } = await subscribed()
    background.tell({ event: 'reset' })
    expect(await background.subscriptions.unsubscribe(end('0xa'))).toEqual({ result: true })
    await background.answerLast({ result: '0xb' })
    expect(background.last).toMatchObject(end('0xb'))
    background.tell({ event: 'subscription', subscription: '0xb', result: 1 })
    expect(heard).toEqual([])
  })

  test('one that the page ended is not tried again', async () => {
    const { background } = await subscribed()
    background.tell({ event: 'reset' })
    await background.answerLast({ error: timedOut })
    await background.subscriptions.unsubscribe(end('0xa'))
    background.later[0]?.()
    expect(background.methods).toEqual(['eth_subscribe', 'eth_subscribe'])
  })

  test.each([[{ pass: true as const }], [{ error: turnedOff }]])(
    'none is tried again where Nightjar is off: %j',
    async (answer) => {
      const { background } = await subscribed()
      background.tell({ event: 'reset' })
      await background.answerLast(answer)
      background.tell({ event: 'reset' })
      expect(background.later).toEqual([])
      expect(background.asked).toHaveLength(2)
    },
  )
})

test('when the extension is gone, nothing is asked any more, and all is refused here', async () => {
  const { background } = await subscribed()
  background.tell({ event: 'gone' })
  background.tell({ event: 'reset' })
  expect(await background.exchange.ask(subscribing)).toEqual({ error: pageOrphaned })
  expect(background.asked).toHaveLength(1)
})
