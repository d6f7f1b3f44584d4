export { type Owner, ownerOf } from './methods.ts'
