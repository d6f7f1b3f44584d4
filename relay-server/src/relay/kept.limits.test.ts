/** How many branches a relay keeps that have no circuit any more, for whom, and what may come on them. */
import { command, handshakeCells, makeCell } from '@nightjar/shared/cell'
import { CircuitTable } from '@nightjar/shared/circuit'
import { replySize } from '@nightjar/shared/handshake'
import { minute } from '@nightjar/shared/runtime'
import { FakeClock, pattern, ScriptedLink } from '@nightjar/shared/testing'
import { nativeCrypto as crypto } from '@nightjar/shared-node/crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import { limits } from '../limits/limits.ts'
import type { Refusal } from '../limits/refusal.ts'
import { KeptBranches } from './kept.ts'
import { RelayMeter } from './meter.ts'
import { Onward } from './onward.ts'

describe('branches without a circuit', () => {
  const clock = new FakeClock()
  const places = { taken: 0 }
  let meter: RelayMeter
  let refused: Refusal[]
  let kept: KeptBranches
  beforeEach(() => {
    meter = new RelayMeter()
    refused = []
    kept = new KeptBranches({ crypto, clock, meter, onRefused: (refusal) => void refused.push(refusal) })
    places.taken = 0
  })

  /** How many of `count` further ones are taken of the source. Each stands for a minute. */
  function take(source: string, count: number, circuit: object = places): number {
    const before = meter.keptBranches
    for (let asked = 0; asked < count; asked++) {
      const onward = branch()
      onward.endIn(1 * minute, 'branch-retired')
      if (!kept.take(onward, { source, circuit })) onward.close()
    }
    return meter.keptBranches - before
  }

  /** One on a link of its own. */
  function branch(link = (table: CircuitTable): ScriptedLink => new ScriptedLink(table)): Onward {
    const table = new CircuitTable()
    table.attach(link(table))
    places.taken += 1
    const leave = () => {
      places.taken -= 1
    }
    const events = { onReply() {}, onBackward() {}, onLost() {}, onGoaway() {} }
    return new Onward({ table, leave, refused() {} }, crypto, clock, { meter, mostHeld: 1, events })
  }

  test('are a share of what is free for each source, and never more than may be', () => {
    const [one, another] = ['192.0.2.1', '192.0.2.2']
    const share = take(one, 1000)
    expect(share).toBe(Math.ceil(limits.keptBranches / 9))
    expect(refused).toEqual(Array(1000 - share).fill('kept-branches'))
    const next = take(another, 1000)
    expect([next > share / 2, next < share]).toEqual([true, true])
    expect(take(one, 1)).toBe(0)
    for (let other = 0; other < 20; other++) take(`198.51.100.${other}`, 500)
    expect(meter.keptBranches).toBeLessThanOrEqual(limits.keptBranches)
    expect(places.taken).toBe(meter.keptBranches)
    clock.advance(1 * minute)
    expect([meter.keptBranches, places.taken, clock.pending]).toEqual([0, 0, 0])
    expect(take(one, 1000)).toBe(share)
    clock.advance(1 * minute)
  })

  // Or whoever fills it once would show when all others leave, for as long as his own stand.
  test('make room for the next one, where there are too many, by the end of another of the same source', () => {
    const other = branch()
    other.endIn(1 * minute, 'branch-retired')
    kept.take(other, { source: '192.0.2.2', circuit: places })
    take('192.0.2.1', 1000)
    const before = meter.keptBranches
    const newcomer = branch()
    newcomer.endIn(1 * minute, 'branch-retired')
    expect([kept.take(newcomer, { source: '192.0.2.1', circuit: places }), meter.keptBranches]).toEqual([true, before])
    // Both stand: each is still there to be ended.
    newcomer.fail('overflow')
    other.fail('overflow')
    expect(meter.keptBranches).toBe(before - 2)
    clock.advance(1 * minute)
  })

  // Found by review: a stranger behind the same entry ended those of whoever had left, within seconds.
  test('make room by the end of those of whoever has most of them', () => {
    const [few, many] = [{}, {}]
    const mine = Array.from({ length: 3 }, () => branch())
    for (const onward of mine) {
      onward.endIn(1 * minute, 'branch-retired')
      kept.take(onward, { source: '192.0.2.1', circuit: few })
    }
    take('192.0.2.1', 1000, many)
    const before = meter.keptBranches
    // All three still are there to be ended.
    for (const onward of mine) onward.fail('overflow')
    expect(meter.keptBranches).toBe(before - 3)
    clock.advance(1 * minute)
  })

  test('end where more comes on all of them than a relay takes for nobody', () => {
    const many = (8 * limits.keptCellsOfAll) / limits.keptCellsAtOnce
    const all = Array.from({ length: many + 1 }, (_, index) => {
      const onward = branch()
      for (const cell of handshakeCells(1, command.created, new Uint8Array(replySize))) {
        onward.onCell(command.created, cell)
      }
      onward.endIn(1 * minute, 'branch-retired')
      kept.take(onward, { source: `192.0.2.${index}`, circuit: places })
      return onward
    })
    const cell = makeCell(1, command.relay, pattern(10))
    for (const onward of all.slice(1)) {
      for (let come = 0; come < limits.keptCellsAtOnce; come++) onward.onCell(command.relay, cell)
    }
    expect(meter.keptBranches).toBe(many + 1)
    all[0]?.onCell(command.relay, cell)
    expect([meter.keptBranches, refused]).toEqual([many, ['kept-cells']])
    clock.advance(1 * minute)
  })

  test('end once, though their link is given up with the last that is sent on it', () => {
    class LastSend extends ScriptedLink {
      override send(): void {
        this.close('overflow')
      }
    }
    const onward = branch((table) => new LastSend(table))
    onward.endIn(1 * minute, 'branch-retired')
    kept.take(onward, { source: '192.0.2.1', circuit: places })
    clock.advance(1 * minute)
    expect([meter.keptBranches, places.taken, clock.pending]).toEqual([0, 0, 0])
  })

  test('are only those that were to be kept', () => {
    const onward = branch()
    expect([kept.take(onward, { source: '192.0.2.1', circuit: places }), refused, meter.keptBranches]).toEqual([
      false,
      [],
      0,
    ])
    onward.close()
  })
})
