export { ReplayWindow } from './replay.ts'
export { counterOf, EnvelopeSession } from './session.ts'
export { isSizeClass, recordOverhead, recordSize, sizeClass } from './sizeClass.ts'
