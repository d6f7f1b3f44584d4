export { fromJson } from './json.ts'
export { isZero, Reader } from './reader.ts'
export { base64, fromBase64, fromHex, fromUtf8, hex, utf8 } from './text.ts'
export {
  concat,
  equalBytes,
  readU16,
  readU32,
  readU64,
  u16,
  u32,
  writeU16,
  writeU32,
  writeU64,
} from './write.ts'
