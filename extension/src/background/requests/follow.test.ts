/** What is followed outlives its branch; the sealed branches themselves are tested in shared/src/requests. */
import { hour, minute } from '@nightjar/shared/runtime'
import { turn } from '@nightjar/shared/testing'
import { expect, test } from 'vitest'
import { createNetwork } from '../testing/network.ts'
import { agreed, Stage } from '../testing/stage.ts'

const network = await createNetwork({ one: [1], two: [1] })
const header = { hash: '#1', parentHash: '#0', number: '0x1' }

async function setUp() {
  const stage = await Stage.set(network, { enabled: true, wallet: agreed(1) })
  await stage.start()
  const { daemon } = stage
  daemon.requests.length = 0
  const page = stage.openPage('https://dapp.example')
  const subscription = (await page.request('eth_subscribe', ['newHeads']))?.result
  await turn()
  const types = (type: string) => daemon.requests.filter((each) => each.type === type)
  /** The gateways of what is followed now. */
  const followed = () => [...daemon.followed.values()].map(({ branch }) => branch.gateway.name)
  return { stage, daemon, page, subscription, types, followed }
}

test('a branch that has done its time is replaced though nobody asks on it, and what is followed goes on', async () => {
  const { stage, daemon, page, subscription, types, followed } = await setUp()
  daemon.push(1, header)
  await stage.clock.elapse(13 * minute)
  expect([types('open').length, types('follow').length, followed()]).toEqual([2, 2, ['one']])
  daemon.push(1, { hash: '#2', parentHash: '#1', number: '0x2' })
  await turn()
  expect(page.pushed(subscription)).toMatchObject([{ hash: '#2' }])
})

test('what is not wanted any more ends with no successor', async () => {
  const { stage, daemon, page, subscription, types } = await setUp()
  await page.request('eth_unsubscribe', [subscription as string])
  await stage.clock.elapse(hour)
  expect([types('follow').length, daemon.followed.size]).toEqual([1, 0])
})

test('one that cannot be reached is followed at the next', async () => {
  const { stage, daemon, followed } = await setUp()
  daemon.on('open', ({ gateway }) => {
    if (gateway !== network.relay('one').id) return undefined
    daemon.avoided = ['one']
    return { error: { code: 1, message: '', data: { nightjar: 'connect-failed' } } }
  })
  daemon.loseBranch([...daemon.branches.keys()].at(-1) as number)
  await stage.clock.elapse(minute)
  expect(followed()).toEqual(['two'])
})
