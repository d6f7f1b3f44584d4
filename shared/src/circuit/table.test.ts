import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bodyOf, cellSize, circuitIdOf, command, goawayCell, makeCell } from '../cell/index.ts'
import { NightjarError } from '../errors/index.ts'
import { limits } from '../limits.ts'
import { codeOf, pattern, ScriptedLink, seededCrypto } from '../testing/index.ts'
import { type CircuitEnd, CircuitTable, type TableEvents } from './index.ts'

const nothing = new Uint8Array(0)

function tabled(events: TableEvents = {}) {
  const table = new CircuitTable(events)
  const link = new ScriptedLink(table)
  table.attach(link)
  return { table, link }
}

class Recorder implements CircuitEnd {
  readonly cells: [command: number, id: number, firstByte: number][] = []
  readonly closed: string[] = []

  onCell(cellCommand: number, cell: Uint8Array): void {
    this.cells.push([cellCommand, circuitIdOf(cell), bodyOf(cell)[0] as number])
  }

  onLinkClosed(error: NightjarError): void {
    this.closed.push(error.code)
  }
}

describe('dispatch', () => {
  test('gives each cell to its circuit, with its command', () => {
    const { table, link } = tabled()
    const [one, two] = [new Recorder(), new Recorder()]
    table.add(1, one)
    table.add(2, two)
    link.receive(makeCell(1, command.relay, pattern(9, 1)))
    link.receive(makeCell(2, command.created, pattern(9, 2)))
    link.receive(makeCell(1, command.destroy, pattern(1, 3)))
    link.receive(makeCell(2, command.puzzle, pattern(1, 4)))
    expect(one.cells).toEqual([
      [command.relay, 1, pattern(1, 1)[0]],
      [command.destroy, 1, pattern(1, 3)[0]],
    ])
    expect(two.cells).toEqual([
      [command.created, 2, pattern(1, 2)[0]],
      [command.puzzle, 2, pattern(1, 4)[0]],
    ])
    expect(link.closed).toBe(false)
  })

  test('drops what comes for a circuit that is gone, but CREATE', () => {
    const { table, link } = tabled()
    table.add(1, new Recorder())
    table.remove(1)
    for (const each of [command.created, command.relay, command.destroy, command.puzzle]) {
      link.receive(makeCell(1, each, pattern(5)))
    }
    expect([link.closed, link.sent.length, table.size]).toEqual([false, 0, 0])
  })

  test('an unknown command closes the link, for a circuit that exists too', () => {
    for (const cellCommand of [7, 100, 255]) {
      const { table, link } = tabled()
      const end = new Recorder()
      table.add(1, end)
      link.receive(makeCell(1, cellCommand, nothing))
      expect(link.closedWith).toBe('protocol-violation')
      expect([end.cells, end.closed]).toEqual([[], ['protocol-violation']])
    }
  })

  test('padding is dropped, on any circuit id, and reaches nobody', () => {
    const { table, link } = tabled()
    const end = new Recorder()
    table.add(1, end)
    link.receive(makeCell(0, command.padding, nothing))
    link.receive(makeCell(1, command.padding, nothing))
    expect([link.closed, end.cells]).toEqual([false, []])
  })

  test('padding that is not zero closes the link, wherever the bit is', () => {
    for (const index of [5, 6, 500, cellSize - 1]) {
      const { link } = tabled()
      const cell = makeCell(0, command.padding, nothing)
      cell[index] = 1
      link.receive(cell)
      expect(link.closedWith).toBe('protocol-violation')
    }
  })

  test('GOAWAY is told once: a second one closes the link and is told to nobody', () => {
    const told: [string, number][] = []
    const { table, link } = tabled({ onGoaway: (seconds) => told.push(['owner', seconds]) })
    for (const id of [1, 2]) {
      table.add(id, { onCell() {}, onLinkClosed() {}, onGoaway: (seconds) => told.push([`${id}`, seconds]) })
    }
    link.receive(goawayCell(30))
    expect(link.closed).toBe(false)
    link.receive(goawayCell(29))
    expect(link.closedWith).toBe('protocol-violation')
    expect(told).toEqual([
      ['owner', 30],
      ['1', 30],
      ['2', 30],
    ])
  })

  test('GOAWAY from the side that dialled closes the link and is told to nobody', () => {
    const { table, link } = tabled({ onCreate() {}, onGoaway: () => expect.fail('was told') })
    table.add(1, { onCell() {}, onLinkClosed() {}, onGoaway: () => expect.fail('was told') })
    link.receive(goawayCell(30))
    expect(link.closedWith).toBe('protocol-violation')
  })

  test('GOAWAY is told, and a malformed one closes the link, whether anyone listens or not', () => {
    const told: number[] = []
    const { link } = tabled({ onGoaway: (seconds) => told.push(seconds) })
    link.receive(goawayCell(30))
    expect([told, link.closed]).toEqual([[30], false])
    for (const events of [{}, { onGoaway: () => {} }]) {
      const other = tabled(events)
      other.link.receive(goawayCell(30))
      expect(other.link.closed).toBe(false)
      const malformed = goawayCell(30)
      malformed[cellSize - 1] = 1
      other.link.receive(malformed)
      expect(other.link.closedWith).toBe('protocol-violation')
    }
  })

  test('an error that an end throws closes the link rather than the process', () => {
    for (const [thrown, code] of [
      [new NightjarError('overflow'), 'overflow'],
      [new TypeError('bug'), 'internal'],
    ] as const) {
      const { table, link } = tabled()
      table.add(1, {
        onCell() {
          throw thrown
        },
        onLinkClosed() {},
      })
      link.receive(makeCell(1, command.relay, nothing))
      expect(link.closedWith).toBe(code)
    }
  })

  test('arbitrary cells never throw out of it', () => {
    const aCell = fc
      .tuple(fc.nat(3), fc.nat(9), fc.uint8Array({ maxLength: 3 }))
      .map(([id, cellCommand, body]) => makeCell(id, cellCommand, body))
    fc.assert(
      fc.property(fc.array(aCell, { maxLength: 30 }), fc.boolean(), (cells, accepting) => {
        const created: number[] = []
        const { table, link } = tabled(accepting ? { onCreate: (id) => created.push(id) } : {})
        table.add(1, new Recorder())
        for (const cell of cells) link.receive(cell)
        expect([undefined, 'protocol-violation']).toContain(link.closedWith)
        expect(created.every((id) => id === 2 || id === 3)).toBe(true)
      }),
    )
  })
})

describe('CREATE', () => {
  test('for an id that is free is handed to whoever accepts', () => {
    const seen: [number, number][] = []
    const { link } = tabled({ onCreate: (id, cell) => seen.push([id, bodyOf(cell)[0] as number]) })
    link.receive(makeCell(77, command.create, Uint8Array.of(5)))
    expect(seen).toEqual([[77, 5]])
  })

  test('for an id that is taken goes to that circuit, which must refuse it', () => {
    const seen: number[] = []
    const { table, link } = tabled({ onCreate: (id) => seen.push(id) })
    const end = new Recorder()
    table.add(77, end)
    link.receive(makeCell(77, command.create, Uint8Array.of(5)))
    expect([seen, end.cells]).toEqual([[], [[command.create, 77, 5]]])
  })

  test('for circuit id 0 closes the link', () => {
    const { link } = tabled({ onCreate: () => expect.fail('was accepted') })
    link.receive(makeCell(0, command.create, pattern(5)))
    expect(link.closedWith).toBe('protocol-violation')
  })

  test('on a link that we dialled closes it', () => {
    const { link } = tabled()
    link.receive(makeCell(5, command.create, pattern(5)))
    expect(link.closedWith).toBe('protocol-violation')
  })
})

describe('fresh ids', () => {
  test('are random, distinct, and bounded in number', () => {
    const { table } = tabled()
    const crypto = seededCrypto('ids')
    const ids = new Set<number>()
    for (let i = 0; i < limits.circuitsPerLink; i++) ids.add(table.addFresh(crypto, new Recorder()))
    expect(ids.size).toBe(limits.circuitsPerLink)
    expect(ids.has(0)).toBe(false)
    expect(codeOf(() => table.addFresh(crypto, new Recorder()))).toBe('limit-reached')
    table.remove([...ids][5] as number)
    expect(codeOf(() => table.addFresh(crypto, new Recorder()))).toBeUndefined()
  })

  test('are not given on a link that is closed', () => {
    const { table, link } = tabled()
    link.lose()
    expect(codeOf(() => table.addFresh(seededCrypto('ids'), new Recorder()))).toBe('link-lost')
    expect(table.size).toBe(0)
  })
})

describe('the end of the link', () => {
  test('is told to every circuit and then to the owner, once, and leaves nothing', () => {
    const order: string[] = []
    const { table, link } = tabled({ onClosed: (error) => order.push(`owner ${error.code}`) })
    for (const id of [1, 2]) {
      table.add(id, {
        onCell() {},
        onLinkClosed: (error) => {
          order.push(`${id} ${error.code}`)
          table.remove(id)
        },
      })
    }
    table.wait({ onLinkWritable: () => order.push('woken') })
    link.lose('draining')
    link.lose('draining')
    link.resume()
    expect(order).toEqual(['1 draining', '2 draining', 'owner draining'])
    expect(table.size).toBe(0)
  })

  test('a table before its link is a mistake of ours and says so', () => {
    expect(() => new CircuitTable().link).toThrow('before its link')
  })
})

describe('waiters', () => {
  /** Sends one cell per turn, `left` in all, as a circuit with cells queued does. */
  class Sender {
    left: number
    readonly #name: string
    readonly #table: CircuitTable
    readonly #order: string[]

    constructor(table: CircuitTable, order: string[], name: string, left: number) {
      this.#table = table
      this.#order = order
      this.#name = name
      this.left = left
      table.wait(this)
    }

    onLinkWritable(): void {
      this.left -= 1
      this.#order.push(this.#name)
      this.#table.link.send(new Uint8Array(cellSize))
      if (this.left > 0) this.#table.wait(this)
    }
  }

  /** A link that takes `room` cells, then is behind. */
  function narrow(room: number) {
    const { table, link } = tabled()
    link.stall()
    const open = (cells: number) => {
      link.onActivity = () => {
        cells -= 1
        if (cells === 0) link.stall()
      }
      link.resume()
    }
    return { table, link, open: () => open(room) }
  }

  test('each gets its turn before any gets a second one', () => {
    const { table, open } = narrow(100)
    const order: string[] = []
    for (const name of ['a', 'b', 'c']) new Sender(table, order, name, 3)
    open()
    expect(order.join('')).toBe('abcabcabc')
  })

  test('a link that is behind again goes on with the next in turn later', () => {
    const { table, open } = narrow(2)
    const order: string[] = []
    for (const name of ['a', 'b', 'c']) new Sender(table, order, name, 4)
    for (let i = 0; i < 6; i++) open()
    expect(order.join('')).toBe('abcabcabcabc')
  })

  test('one that has much does not hold up one that joins late', () => {
    const { table, open } = narrow(4)
    const order: string[] = []
    new Sender(table, order, 'a', 1000)
    open()
    new Sender(table, order, 'b', 2)
    open()
    expect(order.join('')).toBe('aaaaabab')
  })

  test('waiting twice is waiting once', () => {
    const { table, link } = tabled()
    let calls = 0
    const waiter = {
      onLinkWritable() {
        calls += 1
      },
    }
    table.wait(waiter)
    table.wait(waiter)
    link.resume()
    link.resume()
    expect(calls).toBe(1)
  })
})
