/**
 * An answer of eth_getLogs about one block against that block's verified receipts: no matching log may be missing, none
 * added, none altered, and they come in their order. A range of blocks is checked block by block. Most blocks of a range need
 * no receipts: the bloom of their header shuts the filter out (Yellow Paper, section 4.4.1; ox has it).
 */
import * as Bloom from 'ox/Bloom'
import { bounds } from './bounds.ts'
import { data, type Fields, fieldsOf, fixed, type Hex, isAbsent, listOf, quantity } from './fields.ts'
import type { Header } from './header.ts'
import { isLogPlaced, type Log, mostTopics, type Receipt, topicsOf } from './receipts.ts'
import { judge, lie, unverifiable, type Verdict } from './verdict.ts'

/** The logs of the block that the filter (its `address` and `topics`, as in the question) lets through. */
export function verifyLogs(
  answer: unknown,
  filter: unknown,
  header: Header,
  receipts: readonly Receipt[],
): Promise<Verdict<readonly Log[]>> {
  return judge(() => {
    const matches = matcher(fieldsOf(filter))
    const expected = receipts.flatMap(({ logs }) => logs).filter(matches)
    const answers = listOf(answer, bounds.logs).map(fieldsOf)
    const indices = answers.map(({ logIndex }) => quantity(logIndex))
    const byIndex = new Map(expected.map((log) => [BigInt(log.index), log]))
    for (const [place, fields] of answers.entries()) {
      const log = byIndex.get(indices[place] as bigint)
      if (log === undefined) throw lie('log-added')
      if (!isSame(fields, log, header)) throw lie('log-altered')
    }
    // All are real ones: too many means that one came twice.
    if (new Set(indices).size < answers.length) throw lie('log-added')
    if (answers.length < expected.length) throw lie('log-missing')
    if (indices.some((index, place) => index !== BigInt(expected[place]?.index ?? -1))) throw lie('log-order')
    return expected
  })
}

/** Whether the block may hold a log that the filter lets through, by the bloom of its verified header: false is certain. */
export function mayHoldLogs(filter: unknown, { logsBloom }: Header): Promise<Verdict<boolean>> {
  return judge(() => {
    const { addresses, positions } = wantedBy(fieldsOf(filter))
    const isIn = (wanted: ReadonlySet<Hex> | undefined) =>
      wanted === undefined || [...wanted].some((value) => Bloom.contains(logsBloom, value))
    return [addresses, ...positions].every(isIn)
  })
}

function isSame(fields: Fields, log: Log, header: Header): boolean {
  const topics = topicsOf(fields.topics)
  return (
    fixed(fields.address, 20) === log.address &&
    topics.length === log.topics.length &&
    topics.every((topic, index) => topic === log.topics[index]) &&
    data(fields.data) === log.data &&
    isLogPlaced(fields, log, header)
  )
}

function matcher(filter: Fields): (log: Log) => boolean {
  const { addresses, positions } = wantedBy(filter)
  return (log) =>
    (addresses === undefined || addresses.has(log.address)) &&
    positions.length <= log.topics.length &&
    positions.every((wanted, index) => wanted === undefined || wanted.has(log.topics[index] as Hex))
}

/** A filter as nodes read it: a list stands for any of its members, an empty one and null for anything. */
function wantedBy({ address, topics }: Fields) {
  return {
    addresses: choices(address, 20),
    positions: listOf(topics ?? [], mostTopics).map((position) => choices(position, 32)),
  }
}

function choices(value: unknown, size: number): ReadonlySet<Hex> | undefined {
  if (isAbsent(value)) return undefined
  const values = Array.isArray(value) ? value : [value]
  if (values.length > bounds.listItems) throw unverifiable('too-large')
  return values.length === 0 ? undefined : new Set(values.map((each) => fixed(each, size)))
}
