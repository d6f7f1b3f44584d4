export { allows, type ExitPolicy } from './exitPolicy.ts'
export {
  type Category,
  categories,
  findHost,
  hostList,
  isBelow,
  type ListedHost,
  listDate,
  listDigest,
  listedPort,
  normaliseHost,
} from './hostList.ts'
export { decodeTarget, encodeTarget, type Target, tcpService } from './target.ts'
