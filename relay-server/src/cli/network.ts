/** `nightjar-relay network`: what the directories of a network do with its document. */
import { writeAtomically } from '@nightjar/shared-node/config'
import { Command } from 'commander'
import type { CliContext } from './context.ts'
import { encodeDocument, joinSignatures, readDocumentFile } from './document.ts'
import { signCommand } from './network-sign.ts'
import { verifyCommand } from './network-verify.ts'

export function networkCommand(context: CliContext): Command {
  return new Command('network')
    .summary('sign, merge and verify the network document')
    .description('What the directories of a network do with its document, which lists the relays.')
    .addHelpText(
      'after',
      `
How several directories make a document together:
  1. one of them:        nightjar-relay network sign --relays relays.yaml --key one.key --out one.json
  2. each of the others: nightjar-relay network sign --payload one.json --key two.key --out two.json
  3. anyone:             nightjar-relay network merge one.json two.json --out network.json
  4. anyone:             nightjar-relay network verify network.json --trust KEY1 KEY2 KEY3 --threshold 2`,
    )
    .addCommand(signCommand(context))
    .addCommand(mergeCommand(context))
    .addCommand(verifyCommand(context))
}

function mergeCommand(context: CliContext): Command {
  return new Command('merge')
    .summary('join the signatures of several directories')
    .description(
      'Joins documents that several directories signed into one with all signatures. Their payloads must be the same, ' +
        'byte for byte, and every signature right; a key that signed twice is kept once.',
    )
    .argument('<files...>', 'documents to join')
    .requiredOption('--out <file>', 'where the joined document goes')
    .action(async (files: string[], options: { out: string }) => {
      const documents = await Promise.all(files.map(readDocumentFile))
      const signatures = await joinSignatures(context.crypto, documents)
      const payload = documents[0]?.payload ?? new Uint8Array(0)
      await writeAtomically(options.out, encodeDocument(payload, signatures), 0o644)
      context.print(`${options.out}: version ${documents[0]?.head.version}, signatures: ${signatures.length}\n`)
    })
}
