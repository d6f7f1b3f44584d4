import { describe, expect, test } from 'vitest'
import { codeOfAsync, pattern, turn } from '../testing/index.ts'
import { encodeKeep, type Hop, messageType, noStream } from './index.ts'
import { ask, echo, endOf, makeCircuits } from './testing/circuits.ts'
import type { RelayHop } from './testing/relays.ts'

const { gateway, fourth, built } = await makeCircuits()

/** A trunk of two hops, and what was told of inner middles that failed. */
async function trunk(end = fourth) {
  const made = await built(2)
  const middle = made.hop(2)
  const failed: string[] = []
  const grow = () => middle.extendThrough(gateway, end, () => failed.push('inner'))
  const onlyOf = (hop: RelayHop) => [...hop.branches.values()][0] as RelayHop
  const inner = () => onlyOf(made.at(2))
  return { ...made, middle, failed, grow, inner, end: () => onlyOf(inner()) }
}

const types = ({ received }: RelayHop) => received.map(({ type }) => type)

describe('a branch through an inner middle', () => {
  test('is two hops further, and requests travel there and back', async () => {
    const { grow, middle, end, failed } = await trunk()
    const hop = await grow()
    expect([hop.depth, hop.parent?.depth, hop.parent?.parent]).toEqual([4, 3, middle])
    end().serve(echo)
    const answer = ask(hop, pattern(3000))
    await turn()
    expect([answer.bytes.length, failed]).toEqual([6000, []])
  })

  test('has one of its own, though another goes through the same relay', async () => {
    const { grow, middle } = await trunk()
    const [one, other] = [await grow(), await grow()]
    expect(one.parent).not.toBe(other.parent)
    expect(middle.branches).toEqual([one.parent, other.parent])
  })

  test('takes that with it where the client closes it', async () => {
    const { grow, middle, at, inner } = await trunk()
    const hop = await grow()
    const between = inner()
    const ended = [endOf(hop.parent as Hop), endOf(hop)]
    hop.close('branch-retired')
    await turn()
    expect(ended).toEqual([['cancelled'], ['branch-retired']])
    expect([types(between), types(at(2)), middle.branchCount]).toEqual([
      [messageType.truncate],
      [messageType.truncate],
      0,
    ])
  })

  test('takes that with it where the inner middle says that it is over', async () => {
    const { grow, middle, at, inner } = await trunk()
    const hop = await grow()
    inner().closeBranch(1, 'draining')
    await turn()
    expect([hop.error?.code, types(at(2)), middle.branchCount]).toEqual(['draining', [messageType.truncate], 0])
  })

  test('is lost with it', async () => {
    const { grow, middle, at } = await trunk()
    const hop = await grow()
    at(2).closeBranch(1, 'link-lost')
    await turn()
    expect([hop.error?.code, middle.error, middle.branchCount]).toEqual(['link-lost', undefined, 0])
  })

  test('is kept by the inner middle, and that by the middle', async () => {
    const { grow, at, inner } = await trunk()
    const hop = await grow()
    hop.keep(7200)
    await turn()
    const keep = { type: messageType.keep, stream: noStream, data: encodeKeep({ branch: 1, seconds: 7200 }) }
    expect([inner().received, at(2).received]).toEqual([[keep], [keep]])
    expect([hop.isKept, hop.parent?.isKept]).toEqual([true, true])
  })

  test('whose inner middle cannot be reached leaves nothing behind, and is told', async () => {
    const { grow, middle, at, failed } = await trunk()
    at(2).answering = 'connect-failed'
    expect([await codeOfAsync(grow), failed, middle.branchCount]).toEqual(['connect-failed', ['inner'], 0])
  })

  test('whose end does not prove who it is leaves nothing behind, and the inner middle is not told of', async () => {
    const { grow, middle, at, failed } = await trunk({ ...fourth, key: gateway.key })
    expect([await codeOfAsync(grow), failed, middle.branchCount]).toEqual(['handshake-failed', [], 0])
    await turn()
    expect(types(at(2))).toEqual([messageType.truncate])
  })
})
