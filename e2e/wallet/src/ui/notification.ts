/**
 * The window in which the wallet asks. One prompt at a time; adding an endpoint to a network that the wallet has takes
 * two dialogs. Only after the last Approve the endpoint is probed, once and from here; if it fails, Approve stays grey.
 *
 * For tests the body says which dialog is shown (`data-dialog`) and of what kind (`data-kind`).
 */
import type { Prompt, Snapshot } from '../ui.ts'
import { connect, send } from './background.ts'
import { element } from './dom.ts'
import { lockedView } from './locked.ts'
import { probe } from './probe.ts'
import { type Dialog, dialogsOf } from './prompts.ts'

const main = document.querySelector('main') as HTMLElement
/** The dialog on show, so that a snapshot that changes nothing leaves it as it is. */
let shown = ''
/** What is asked from now on is asked in another window. */
let isClosing = false
/** How many of the current prompt's dialogs were approved. */
let approved = 0

connect('notification', {
  onSnapshot: showSnapshot,
  onClose: close,
  // What it asked went with the worker; pages ask the next one again.
  onEnd: close,
})

function close(): void {
  isClosing = true
  show('none', 'none', [])
  window.close()
}

function showSnapshot({ isUnlocked, prompts, accounts }: Snapshot): void {
  if (isClosing) return
  const [prompt] = prompts
  if (!isUnlocked) return show('locked', 'locked', lockedView())
  if (prompt === undefined) return show('none', 'none', [element('p', { class: 'quiet' }, 'Nothing to approve.')])
  if (shown.startsWith(prompt.id)) return
  approved = 0
  showDialog(prompt, dialogsOf(prompt, accounts), prompts.length)
}

function showDialog(prompt: Prompt, dialogs: readonly Dialog[], waiting: number): void {
  const dialog = dialogs[approved] as Dialog
  const problem = element('p', { class: 'problem', testId: 'problem', role: 'alert' })
  const approve = element('button', { class: 'main', testId: 'approve', onClick: () => void accept() }, 'Approve')
  const reject = () => void send({ command: 'reject', id: prompt.id })

  async function accept(): Promise<void> {
    approve.disabled = true
    if (approved + 1 < dialogs.length) {
      approved += 1
      return showDialog(prompt, dialogs, waiting)
    }
    if (prompt.kind === 'add-network') {
      const wrong = await probe(prompt.url, prompt.chainId)
      if (wrong !== undefined) {
        problem.textContent = wrong
        return
      }
    }
    await send({ command: 'approve', id: prompt.id, ...dialog.answer?.() })
  }

  show(`${prompt.id} ${approved}`, prompt.kind, [
    element('p', { class: 'quiet', testId: 'origin' }, prompt.origin),
    element(
      'div',
      { testId: 'request', class: dialog.isDangerous === true ? 'danger' : '' },
      element('h1', { testId: 'title' }, dialog.title),
      element('p', {}, dialog.text),
      element('div', { class: 'card' }, dialog.details),
      problem,
      element('div', { class: 'actions' }, element('button', { testId: 'reject', onClick: reject }, 'Reject'), approve),
    ),
    element('p', { class: 'quiet' }, waiting > 1 ? `${waiting - 1} more after this one.` : ''),
  ])
}

function show(dialog: string, kind: string, content: readonly Node[]): void {
  if (shown === dialog) return
  shown = dialog
  document.body.dataset.dialog = dialog
  document.body.dataset.kind = kind
  main.replaceChildren(...content)
}
