export { type Splice, type SpliceOptions, splice } from './splice.ts'
