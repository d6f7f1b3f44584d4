import { describe, expect, test } from 'vitest'
import { cellSize, makeCell } from '../cell/index.ts'
import type { NightjarError } from '../errors/index.ts'
import { FakeClock, pairOfLinks, turn } from './index.ts'

describe('FakeClock', () => {
  test('fires what falls due, in order, with the right time', () => {
    const clock = new FakeClock(1000)
    const seen: [string, number][] = []
    const note = (name: string) => () => void seen.push([name, clock.now()])
    clock.after(20, note('late'))
    clock.after(10, () => {
      note('early')()
      clock.after(5, note('nested'))
    })
    clock.after(10, note('second'))
    clock.after(12, note('cancelled')).cancel()
    clock.after(31, note('never'))
    clock.advance(30)
    expect(seen).toEqual([
      ['early', 1010],
      ['second', 1010],
      ['nested', 1015],
      ['late', 1020],
    ])
    expect(clock.now()).toBe(1030)
    expect(clock.pending).toBe(1)
  })

  test('elapse lets promises run between timers', async () => {
    const clock = new FakeClock(0)
    const seen: number[] = []
    const wait = () => new Promise<void>((resolve) => clock.after(10, resolve))
    void (async () => {
      for (;;) {
        await wait()
        seen.push(clock.now())
      }
    })()
    await clock.elapse(35)
    expect(seen).toEqual([10, 20, 30])
  })
})

describe('pairOfLinks', () => {
  function pair() {
    const heard = { a: [] as number[], b: [] as number[], ends: [] as string[] }
    const events = (side: 'a' | 'b') => ({
      onCell: (cell: Uint8Array) => void heard[side].push(cell[3] as number),
      onWritable: () => void heard.ends.push(`${side} writable`),
      onClose: (error: NightjarError) => void heard.ends.push(`${side} ${error.code}`),
    })
    return { heard, links: pairOfLinks(events('a'), events('b')) }
  }
  const cell = (id: number) => makeCell(id, 3, new Uint8Array(1))

  test('delivers copies in order, later, both ways', async () => {
    const { heard, links } = pair()
    const reused = cell(1)
    links.a.send(reused)
    reused[3] = 2
    links.a.send(reused)
    links.b.send(cell(3))
    expect(heard.b).toEqual([])
    await turn()
    expect(heard).toEqual({ a: [3], b: [1, 2], ends: [] })
  })

  test('a close comes after the cells before it, and ends both sides once', async () => {
    const { heard, links } = pair()
    links.a.send(cell(1))
    links.a.close('draining')
    links.a.close('internal')
    links.a.send(cell(2))
    await turn()
    expect(heard).toEqual({ a: [], b: [1], ends: ['a draining', 'b draining'] })
    expect([links.a.closed, links.b.closed, links.a.writable]).toEqual([true, true, false])
  })

  test('can be held, tampered with and stalled', async () => {
    const { heard, links } = pair()
    links.hold()
    links.a.tamper = (sent) => (sent[3] === 1 ? undefined : [sent, sent])
    links.a.send(cell(1))
    links.a.send(cell(2))
    await turn()
    expect(heard.b).toEqual([])
    links.release()
    await turn()
    expect(heard.b).toEqual([2, 2])
    links.a.stall()
    expect(links.a.writable).toBe(false)
    links.a.resume()
    expect(heard.ends).toEqual(['a writable'])
  })

  test('takes whole cells only', () => {
    const { links } = pair()
    expect(() => links.a.send(new Uint8Array(cellSize - 1))).toThrow(RangeError)
  })
})
