/** A program that speaks native messaging, in place of the real one: its source says what it does with each message. */
import { writeFile } from 'node:fs/promises'

/** Writes a program that answers each message with what the expression `answer`, of `message`, gives. */
export async function writeHostScript(file: string, answer: string): Promise<void> {
  const frames = new URL('../../../../shared/src/bridge/frames.ts', import.meta.url).href
  const lines = [
    `import { encodeFrames, FrameDecoder } from ${JSON.stringify(frames)}`,
    'const decoder = new FrameDecoder((message) => {',
    `  for (const frame of encodeFrames(${answer})) process.stdout.write(frame)`,
    '})',
    "process.stdin.on('data', (bytes) => decoder.push(bytes))",
  ]
  await writeFile(file, lines.join('\n'))
}
