export { type AccountRequest, Accounts, type AccountsStatus } from './accounts.ts'
export {
  type AccountSettings,
  type AccountsContext,
  accountGroup,
  againGroup,
  type Disagreement,
  defaultSettings,
  headsGroup,
  hidesMiddle,
  type Independence,
  independenceOf,
  type LieReport,
  type Linking,
  type Reports,
  watchCells,
} from './context.ts'
export { shareOf } from './shares.ts'
export type { TrustKind, TrustStatus } from './trust.ts'
