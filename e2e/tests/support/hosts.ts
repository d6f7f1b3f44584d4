/** Native programs that are not ours, for the browser to start: each a script written into the profile's folder. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Stage } from '../../src/browser/index.ts'

export type Behaviour =
  /** Says hello with this version of the bridge. */
  | { readonly kind: 'version'; readonly bridge: number }
  /** Writes something that is no message. */
  | { readonly kind: 'garbage' }
  | { readonly kind: 'exit' }

/** @returns the path of a program that behaves so */
export async function scriptedHost(stage: Stage, behaviour: Behaviour): Promise<string> {
  const script = join(stage.userDataDir, `host-${behaviour.kind}.mjs`)
  await writeFile(script, sources[behaviour.kind](behaviour as never))
  const command = join(stage.userDataDir, `host-${behaviour.kind}`)
  await writeFile(command, `#!/bin/sh\nexec '${process.execPath}' '${script}'\n`, { mode: 0o755 })
  return command
}

const sources: { readonly [K in Behaviour['kind']]: (behaviour: Extract<Behaviour, { kind: K }>) => string } = {
  version: ({ bridge }) => `
    const key = Buffer.alloc(32).toString('base64')
    process.stdin.once('data', (frame) => {
      const { id } = JSON.parse(frame.subarray(4).toString('utf8'))
      const text = JSON.stringify({ id, result: { bridge: ${bridge}, version: '9.9.9', proofKey: key } })
      const header = Buffer.alloc(4)
      header.writeUInt32LE(Buffer.byteLength(text))
      process.stdout.write(Buffer.concat([header, Buffer.from(text)]))
    })
    process.stdin.on('end', () => process.exit(0))
  `,
  garbage: () => `
    process.stdin.once('data', () => process.stdout.write('this is no message at all'))
    process.stdin.on('end', () => process.exit(0))
  `,
  exit: () => 'process.exit(3)',
}
