/** YAML 1.2 as plain values that remember their lines. One document, no custom tags, few aliases. */
import { isAlias, isMap, isSeq, LineCounter, type Node, parseDocument } from 'yaml'

export interface ParsedYaml {
  readonly value: unknown
  /** Line, from 1, of the key or element at `path`, or of the nearest one above it that exists. */
  lineOf(path: readonly unknown[]): number | undefined
}

export interface YamlFault {
  readonly line: number | undefined
  readonly finding: string
}

/** The first fault of `text` as YAML, or what it says. An empty text is an empty mapping. */
export function parseYaml(text: string): ParsedYaml | YamlFault {
  try {
    const lines = new LineCounter()
    // `prettyErrors` would quote the file, which may hold provider keys; `logLevel` keeps it from printing by itself.
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' })
    const fault = document.errors[0] ?? document.warnings[0]
    // Only the code: messages quote the file too.
    if (fault !== undefined) return { line: lines.linePos(fault.pos[0]).line, finding: wordsOf(fault.code) }

    const value: unknown = document.toJS()
    return { value: value ?? {}, lineOf }

    function lineOf(path: readonly unknown[]): number | undefined {
      let line: number | undefined
      let node: Node | null | undefined = document.contents
      for (const key of path) {
        if (isAlias(node)) node = node.resolve(document)
        const step = stepInto(node, String(key))
        if (step === undefined) break
        if (step.offset !== undefined) line = lines.linePos(step.offset).line
        node = step.node
      }
      return line
    }
  } catch {
    // What the library throws instead of reporting: too many aliases, or nesting beyond the stack.
    return { line: undefined, finding: 'is nested too deeply or has too many aliases' }
  }
}

function stepInto(node: unknown, key: string): { node: Node | null; offset: number | undefined } | undefined {
  if (isMap<Node, Node | null>(node)) {
    const pair = node.items.find((item) => String(item.key) === key)
    return pair === undefined ? undefined : { node: pair.value, offset: pair.key.range?.[0] }
  }
  if (isSeq<Node>(node)) {
    const element = node.items[Number(key)]
    return element === undefined ? undefined : { node: element, offset: element.range?.[0] }
  }
  return undefined
}

/** `DUPLICATE_KEY` → `is not valid YAML: duplicate key`. */
function wordsOf(code: string): string {
  return `is not valid YAML: ${code.toLowerCase().replaceAll('_', ' ')}`
}
