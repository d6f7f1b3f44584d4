export { codeOf, describeError, type LoggedError } from './error.ts'
export {
  createLog,
  type Log,
  type LogFacts,
  type LogLevel,
  type LogOptions,
  logLevels,
  type ProcessLog,
} from './log.ts'
export { Sensitive } from './sensitive.ts'
