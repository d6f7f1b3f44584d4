/** What every page shows while the wallet is locked. */
import { send } from './background.ts'
import { element } from './dom.ts'

export function lockedView(): readonly Node[] {
  return [
    element('h1', {}, 'Locked'),
    element('p', {}, 'Requests wait until you unlock the wallet. The stand-in asks for no password.'),
    element(
      'div',
      { class: 'actions' },
      element('button', { class: 'main', testId: 'unlock', onClick: () => void send({ command: 'unlock' }) }, 'Unlock'),
    ),
  ]
}
