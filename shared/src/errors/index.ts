export { type ErrorCode, type ErrorEntry, errorTable, fromWire, isErrorCode, toWire } from './codes.ts'
export { asNightjarError, NightjarError, violation } from './error.ts'
