/** docs/operator-guide.md, Limits, says what the code has, and names all that `nightjar_refused_total` can count. */
import { readFileSync } from 'node:fs'
import { hour, second } from '@nightjar/shared/runtime'
import { expect, test } from 'vitest'
import { limits } from './limits.ts'
import type { Refusal } from './refusal.ts'

const guide = readFileSync(new URL('../../../docs/operator-guide.md', import.meta.url), 'utf8')
const section = guide.slice(guide.indexOf('\n## Limits\n'), guide.indexOf('\n## Gateways\n'))
const rows = section
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .slice(2)
  .map((line) => line.split('|').map((field) => field.trim()) as [string, string, string, string, string])

/** A type has no list; this one does not compile unless it is whole. */
const reasons: Record<Refusal, true> = {
  'accept-failed': true,
  'accept-rate': true,
  'half-open': true,
  'address-rate': true,
  'address-connections': true,
  'address-unknown': true,
  'slow-upgrade': true,
  'malformed-request': true,
  'no-link': true,
  connections: true,
  'connection-share': true,
  unused: true,
  'malformed-frame': true,
  'control-frames': true,
  'slow-reader': true,
  'puzzle-set': true,
  'puzzle-unsolved': true,
  'puzzle-replayed': true,
  'puzzle-solutions': true,
  'handshake-queue': true,
  'link-proof': true,
  'link-circuits': true,
  'client-circuits': true,
  'circuit-share': true,
  'extend-rate': true,
  'onward-share': true,
  'onward-links': true,
  'short-link': true,
  'kept-branches': true,
  'kept-cells': true,
  streams: true,
  'begin-rate': true,
  'queue-memory': true,
  'untaken-answers': true,
  'answer-memory': true,
  'stalled-answer': true,
  'stalled-question': true,
  'circuit-idle': true,
  'circuit-life': true,
}

const rate = (perSecond: number, atOnce: number) => `${perSecond}/s, ${atOnce} at once`
const seconds = (duration: number) => `${duration / second} s`

test('each limit is listed as the code has it', () => {
  expect(Object.fromEntries(rows.map(([, name, value]) => [name, value]))).toEqual({
    'connections looked at': rate(limits.acceptsPerSecond, limits.acceptsAtOnce),
    'connections that are no link yet': `${limits.halfOpen}, ${seconds(limits.upgradeTimeout)}`,
    '`connections_per_minute`': String(limits.connectionsPerMinute),
    '`connections_per_ip`': String(limits.connectionsPerAddress),
    '`max_connections`': String(limits.connections),
    'of these, for relays alone': `1/${1 / limits.keptOfConnections}`,
    '`connection_timeout`': String(limits.connectionIdle / second),
    'messages of a link': `${limits.cellsPerMessage} cells`,
    'pings and pongs of a link': `${limits.controlFrames}, then 1/s`,
    'unsent on a link': `${limits.linkUnsentBytes / 1024 ** 2} MiB, ${seconds(limits.linkStall)}`,
    '`cells_per_second`': String(limits.cellsPerSecond),
    '`bandwidth_mbit`': String(limits.bandwidthMbit),
    'circuits of a link': String(limits.circuitsPerLink),
    "circuits of a client's link": String(limits.circuitsPerClientLink),
    '`max_circuits`': String(limits.circuits),
    '`handshakes_per_second`': String(limits.handshakesPerSecond),
    'handshakes of a link without work': rate(limits.handshakesPerLink, limits.handshakesPerLinkAtOnce),
    'solutions of a link': `${limits.solutionsPerLink} in ${seconds(limits.puzzleWindow)}`,
    'handshakes that wait for their turn': String(limits.waitingHandshakes),
    'time for a handshake': seconds(limits.handshakeTimeout),
    'EXTENDs to one relay': rate(limits.extendsPerRelay, limits.extendsPerRelayAtOnce),
    'pause after a dial that failed': seconds(limits.dialPause),
    [`pause after links that stood less than ${seconds(limits.linkSteadyAfter)}`]: `${seconds(limits.dialPause)}, doubled up to ${seconds(limits.longestDialPause)}`,
    'links to one relay': `${limits.linksPerRelay}; ${limits.openLinksPerRelay} with those it drains`,
    'branches of a circuit': `${limits.branchesPerCircuit}; ${limits.branchesBesideMiddle} at an entry or inner middle`,
    'branches kept without their circuit': `${limits.keptBranches}, ${limits.keepLongest / hour} h`,
    'cells that come on one of these': rate(limits.keptCells, limits.keptCellsAtOnce),
    'waiting cells of a branch': String(limits.branchWindow + limits.controlAllowance),
    '`queue_mb`': String(limits.queueMb),
    'streams of a branch': String(limits.streamsPerBranch),
    'streams begun on a branch': rate(limits.beginsPerBranch, limits.beginsPerBranchAtOnce),
    'questions of a branch asked at once': String(limits.questionsAtOnce),
    'answers of a branch that are not taken': `${limits.answerBytesPerBranch / 1024 ** 2} MiB, ${seconds(limits.answerStall)}`,
    'questions that have not come whole': seconds(limits.questionStall),
    'circuits that nobody uses': `${limits.circuitIdle / hour} h`,
    'life of a circuit': `${limits.circuitLife / hour} h`,
  })
})

test('each reason for a refusal stands at its limit', () => {
  const named = rows.flatMap(([, , , , metric]) => [...metric.matchAll(/`([a-z-]+)`/g)].map(([, reason]) => reason))
  expect(new Set(named)).toEqual(new Set(Object.keys(reasons)))
})
