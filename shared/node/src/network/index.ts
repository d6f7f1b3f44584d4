export { NetworkKeeper, type NetworkKeeperOptions } from './keeper.ts'
export { readDocument } from './source.ts'
