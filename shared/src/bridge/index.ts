export { encodeFrames, FrameDecoder } from './frames.ts'
