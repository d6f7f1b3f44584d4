/** Configuration files: YAML, checked against one valibot schema. Findings name keys and lines, never values. */
import { dirname, resolve } from 'node:path'
import { NightjarError } from '@nightjar/shared/errors'
import { closest, distance } from 'fastest-levenshtein'
import * as v from 'valibot'
import { readText } from './files.ts'
import { knownKeys, misplacedLists } from './schema.ts'
import { parseYaml } from './yaml.ts'

/** A hand-written file has a few kilobytes; more is a wrong file. */
const configBytes = 256 * 1024

export interface ConfigProblem {
  /** From 1, where it is known. */
  readonly line: number | undefined
  /** Dotted, such as `listen.port`; undefined where it concerns the whole file. */
  readonly key: string | undefined
  /** A sentence without its full stop: `listen.port must be at most 65535`. */
  readonly finding: string
  /** What to do, where the finding does not say it. */
  readonly remedy: string | undefined
}

export type ConfigInspection<T> =
  | { readonly ok: true; readonly config: T }
  | { readonly ok: false; readonly problems: ConfigProblems }

/** At least one. */
export type ConfigProblems = readonly [ConfigProblem, ...ConfigProblem[]]

/**
 * What `file` says under `schema`, or everything that is wrong with it; schemas should be made of `v.strictObject`, so
 * that unknown keys are among that.
 * @throws NightjarError `file-unusable` where the file cannot be read at all
 */
export async function inspectConfig<S extends v.GenericSchema>(
  file: string,
  schema: S,
): Promise<ConfigInspection<v.InferOutput<S>>> {
  const yaml = parseYaml(await readText(file, configBytes))
  if ('finding' in yaml) {
    const { line, finding } = yaml
    return { ok: false, problems: [{ line, key: undefined, finding, remedy: undefined }] }
  }
  const [list] = misplacedLists(schema, yaml.value)
  if (list !== undefined) {
    const key = list.length === 0 ? undefined : dotted(list)
    const finding = `${key ?? 'the file'} must be a mapping`
    return { ok: false, problems: [{ line: yaml.lineOf(list), key, finding, remedy: undefined }] }
  }
  const result = v.safeParse(schema, yaml.value)
  if (result.success) return { ok: true, config: result.output }
  const problems = result.issues.map((issue) => problemOf(issue, schema, yaml.lineOf))
  // A misspelt key is also a missing one; the misspelling is what to read first.
  const [first, ...rest] = [...problems.filter(isUnknown), ...problems.filter((problem) => !isUnknown(problem))]
  return { ok: false, problems: [first as ConfigProblem, ...rest] }
}

/**
 * What `file` says under `schema`.
 * @throws NightjarError `config-invalid`, naming file, line and dotted key of the first problem, or `file-unusable`
 */
export async function loadConfig<S extends v.GenericSchema>(file: string, schema: S): Promise<v.InferOutput<S>> {
  const inspection = await inspectConfig(file, schema)
  if (inspection.ok) return inspection.config
  throw new NightjarError('config-invalid', { detail: describeProblems(file, inspection.problems) })
}

/** `relay.yaml:4: unknown key "gatway"; did you mean "gateway"?`, and how many more there are. */
export function describeProblems(file: string, problems: ConfigProblems): string {
  const [{ line, finding, remedy }, ...others] = problems
  const place = line === undefined ? file : `${file}:${line}`
  const more = others.length === 0 ? [] : [`${others.length} more problem${others.length === 1 ? '' : 's'}`]
  return `${place}: ${[finding, ...(remedy === undefined ? [] : [remedy]), ...more].join('; ')}`
}

/** `path` as the configuration `file` means it: relative ones count from the folder that the file is in. */
export function resolveBeside(file: string, path: string): string {
  return resolve(dirname(file), path)
}

function problemOf(
  issue: v.BaseIssue<unknown>,
  schema: v.GenericSchema,
  lineOf: (path: readonly unknown[]) => number | undefined,
): ConfigProblem {
  const path = (issue.path ?? []).map((item) => item.key)
  const key = path.length === 0 ? undefined : dotted(path)
  const place = { line: lineOf(path), key }
  const subject = key ?? 'the file'
  if (issue.type === 'strict_object' && issue.expected === 'never') {
    return {
      ...place,
      finding: `unknown key "${subject}"`,
      remedy: nearest(path, knownKeys(schema, path.slice(0, -1))),
    }
  }
  if (issue.kind === 'schema' && issue.input === undefined) {
    return { ...place, finding: `${subject} is missing`, remedy: undefined }
  }
  return { ...place, finding: `${subject} ${requirementOf(issue)}`, remedy: undefined }
}

function isUnknown(problem: ConfigProblem): boolean {
  return problem.finding.startsWith('unknown key')
}

function nearest(path: readonly unknown[], known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined
  const wrong = String(path.at(-1)).slice(0, 100)
  const best = closest(wrong, [...known])
  // Beyond half of its letters a likeness is chance, and the list of keys helps more.
  if (distance(wrong, best) > Math.max(wrong.length, best.length) / 2) return `known keys here: ${known.join(', ')}`
  return `did you mean "${dotted([...path.slice(0, -1), best])}"?`
}

/** Our own messages are phrased "must …"; valibot's quote the value, so they are put in other words. */
function requirementOf(issue: v.BaseIssue<unknown>): string {
  if (!issue.message.startsWith('Invalid ')) return issue.message
  const bound = String(issue.requirement)
  switch (issue.type) {
    case 'strict_object':
    case 'object':
    case 'record':
      return 'must be a mapping'
    case 'array':
      return 'must be a list'
    case 'string':
      return 'must be text (put it in quotes)'
    case 'number':
      return 'must be a number'
    case 'boolean':
      return 'must be true or false'
    case 'integer':
    case 'safe_integer':
      return 'must be a whole number'
    case 'min_value':
      return `must be at least ${bound}`
    case 'max_value':
      return `must be at most ${bound}`
    case 'min_length':
      return `must have at least ${bound} elements or letters`
    case 'max_length':
      return `must have at most ${bound} elements or letters`
    case 'picklist':
    case 'literal':
      return `must be ${(issue.expected ?? '').replace(/[()"]/g, '').replaceAll(' | ', ' or ')}`
    case 'url':
      return 'must be a URL'
    default:
      return 'has a wrong form'
  }
}

/** Keys come from the file: kept short, and free of what a terminal might obey. */
function dotted(path: readonly unknown[]): string {
  const whole = path.map(String).join('.')
  const short = whole.length > 100 ? `${whole.slice(0, 100)}…` : whole
  return short.replace(/[^\p{L}\p{N}\p{P}\p{S} ]/gu, '?')
}
