/** docs/protocol.md and the code must name the same numbers. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { fromUtf8 } from './bytes/index.ts'
import { cellHeaderSize, cellSize, command } from './cell/index.ts'
import { epochCells, layerCapacity, layerSize, messageType, partSize } from './circuit/index.ts'
import { fromWire, isErrorCode, toWire } from './errors/index.ts'
import { helloSize, maxDepth, replySize, solutionSize } from './handshake/index.ts'
import { limits } from './limits.ts'
import { second } from './runtime.ts'
import { encodeTarget, listedPort, tcpService } from './shield/index.ts'
import { protocolVersion } from './version.ts'

const path = fileURLToPath(new URL('../../docs/protocol.md', import.meta.url))
/** The formatter aligns tables with spaces; here they do not matter. */
const page = readFileSync(path, 'utf8').replace(/ {2,}/g, ' ')

/** The rows of the table that begins with `header`, as cells of text. */
function tableAfter(header: string): string[][] {
  const [, rest = ''] = page.split(`${header}\n`)
  const rows = rest.split('\n').slice(1)
  return rows.slice(0, rows.indexOf('')).map((row) =>
    row
      .split('|')
      .map((cell) => cell.trim())
      .slice(1, -1),
  )
}

describe('docs/protocol.md', () => {
  it('names the constants of the code', () => {
    const documented = Object.fromEntries(
      tableAfter('| constant | value | |').map(([name, value]) => [name, Number(value)]),
    )
    expect(documented).toEqual({
      'protocol version': protocolVersion,
      cell: cellSize,
      'cell header': cellHeaderSize,
      'cells per message': limits.cellsPerMessage,
      hello: helloSize,
      reply: replySize,
      'longest handshake message': limits.handshakeBytes,
      solution: solutionSize,
      'hardest puzzle': limits.puzzleBits,
      'puzzles per handshake': limits.puzzlesPerHandshake,
      layer: layerSize,
      'capacity at three hops': layerCapacity(3),
      'capacity at four hops': layerCapacity(4),
      'longest path': maxDepth,
      epoch: epochCells,
      part: partSize,
      'longest time kept': limits.keepLongest / second,
      'branch window W': limits.branchWindow,
      'stream window': limits.streamWindow,
      'credit step': limits.creditStep,
      'held per branch': limits.heldPerBranch,
      'control allowance': limits.controlAllowance,
      'branches per circuit': limits.branchesPerCircuit,
      'streams per branch': limits.streamsPerBranch,
      'largest question': limits.questionCells,
      'largest answer': limits.answerCells,
      'largest padded answer': limits.paddedAnswerCells,
      'followed per circuit': limits.followedPerCircuit,
      'replay window': limits.replayWindow,
      'tcp streams per branch': limits.tcpStreamsPerBranch,
      'tcp connect time-out': limits.tcpConnectTimeout / second,
      'tcp idle time-out': limits.tcpIdle / second,
      'half closed tcp time-out': limits.tcpHalfClosedIdle / second,
    })
  })

  it('names the cell commands of the code', () => {
    const documented = tableAfter('| command | | body |').map(([value, name]) => [name, Number(value)])
    expect(Object.fromEntries(documented)).toEqual(
      Object.fromEntries(Object.entries(command).map(([name, value]) => [name.toUpperCase(), value])),
    )
  })

  it('names the relay messages of the code', () => {
    const documented = tableAfter('| type | | data |').map(([value, name]) => [name, Number(value)])
    const upper = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
    expect(Object.fromEntries(documented)).toEqual(
      Object.fromEntries(Object.entries(messageType).map(([name, value]) => [upper(name), value])),
    )
  })

  it('names codes that travel, and the service and the argument of exits', () => {
    const codes = tableAfter('| code | the stream ended because |').map(([code = '']) => code)
    expect(codes.length).toBeGreaterThan(0)
    for (const code of codes) expect(isErrorCode(code) && fromWire(toWire(code)), code).toBe(code)
    expect(page).toContain(`service "${tcpService}", argument = "host:port"`)
    expect(fromUtf8(encodeTarget({ host: 'host', port: 443 }))).toBe('host:443')
    expect(page).toContain(`on port ${listedPort}`)
  })
})
