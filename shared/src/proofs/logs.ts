/**
 * An answer of eth_getLogs about one block against that block's verified receipts: no matching log may be missing, none
 * added, none altered, and they come in their order. A range of blocks is checked block by block.
 */
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

/** A filter as nodes read it: a list stands for any of its members, an empty one and null for anything. */
function matcher({ address, topics }: Fields): (log: Log) => boolean {
  const addresses = choices(address, 20)
  const positions = listOf(topics ?? [], mostTopics).map((position) => choices(position, 32))
  return (log) =>
    (addresses === undefined || addresses.has(log.address)) &&
    positions.length <= log.topics.length &&
    positions.every((wanted, index) => wanted === undefined || wanted.has(log.topics[index] as Hex))
}

function choices(value: unknown, size: number): ReadonlySet<Hex> | undefined {
  if (isAbsent(value)) return undefined
  const values = Array.isArray(value) ? value : [value]
  if (values.length > bounds.listItems) throw unverifiable('too-large')
  return values.length === 0 ? undefined : new Set(values.map((each) => fixed(each, size)))
}
