/**
 * The log of both daemons: JSON lines on stderr (stdout belongs to the one `ready` line). No key, address, request,
 * response or destination at any level: what could be one is reduced to its type before pino sees it.
 */
import { pino, stdTimeFunctions } from 'pino'
import { describeError } from './error.ts'
import { Sensitive } from './sensitive.ts'

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

/** Named facts beside a message; an error goes under `error`. */
export type LogFacts = Readonly<Record<string, unknown>>

/** What modules are handed; `createLog` makes one, tests may write their own. */
export interface Log {
  debug(message: string, facts?: LogFacts): void
  info(message: string, facts?: LogFacts): void
  warn(message: string, facts?: LogFacts): void
  error(message: string, facts?: LogFacts): void
}

/** As `createLog` makes it: how much it says can be changed. */
export interface ProcessLog extends Log {
  setLevel(level: LogLevel): void
}

export interface LogOptions {
  /** The program, and the part of it, such as `relay`. */
  readonly name: string
  readonly level: LogLevel
  /** Where lines go; stderr unless given. */
  readonly destination?: { write(line: string): void }
}

export function createLog(options: LogOptions): ProcessLog {
  const logger = pino(
    {
      level: options.level,
      // Replaces pino's default, which adds the host name.
      base: { name: options.name, pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    options.destination ?? pino.destination({ fd: 2, sync: true }),
  )
  const write =
    (level: keyof Log) =>
    (message: string, facts: LogFacts = {}) => {
      if (logger.isLevelEnabled(level)) logger[level](scrubFacts(facts), message)
    }
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    setLevel(level) {
      logger.level = level
    },
  }
}

/** Names that the line itself uses; a fact of that name would write over it, or twice. */
const reserved = new Set(['level', 'time', 'name', 'pid', 'msg'])
const maxDepth = 4

function scrubFacts(facts: LogFacts): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(facts).map(([key, value]) => [reserved.has(key) ? `${key}_` : key, scrub(value, maxDepth)]),
  )
}

/** `value` as plain JSON without what may hold secrets: bytes and foreign objects become their type's name. */
function scrub(value: unknown, depthLeft: number): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return value
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object') return value === undefined ? undefined : `[${typeof value}]`
  if (value instanceof Sensitive) return value.toString()
  if (value instanceof Error) return describeError(value)
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  if (depthLeft === 0) return '[…]'
  if (Array.isArray(value)) return value.map((element: unknown) => scrub(element, depthLeft - 1))
  if (!isPlain(value)) return `[${value.constructor?.name ?? 'object'}]`
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, scrub(inner, depthLeft - 1)]))
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
