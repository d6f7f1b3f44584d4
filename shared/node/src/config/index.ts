export {
  type ConfigInspection,
  type ConfigProblem,
  type ConfigProblems,
  describeProblems,
  inspectConfig,
  loadConfig,
  resolveBeside,
} from './config.ts'
export { fileError, readText, writeAtomically } from './files.ts'
export { missingKeys } from './schema.ts'
export { readSecret, writeSecret } from './secret.ts'
