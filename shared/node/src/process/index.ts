export { systemClock } from './clock.ts'
export { announceReady, failWith, nodeProcess, onStopSignal, type ProcessHost } from './lifecycle.ts'
