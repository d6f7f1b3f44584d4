/** A command to run in a terminal, with a button that copies it. */
import { useState } from 'preact/hooks'
import { setup } from './texts.ts'

export function CopyLine({ command }: { readonly command: string }) {
  const [copied, setCopied] = useState<string>()
  const done = copied === command

  async function copy() {
    await navigator.clipboard.writeText(command)
    setCopied(command)
  }

  return (
    <div class="copy-line">
      <code>{command}</code>
      <button type="button" onClick={() => void copy()} aria-label={`${setup.copy}: ${command}`}>
        {done ? setup.copied : setup.copy}
      </button>
      <span class="unseen" role="status">
        {done && setup.copied}
      </span>
    </div>
  )
}
