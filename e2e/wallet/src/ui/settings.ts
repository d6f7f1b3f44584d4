/** The wallet's settings: which endpoint each network uses, and what only a stand-in has. */
import type { Network, Snapshot } from '../ui.ts'
import { connect, send } from './background.ts'
import { element } from './dom.ts'
import { lockedView } from './locked.ts'

const main = document.querySelector('main') as HTMLElement
const networks = element('div')
let isUnlocked: boolean | undefined

connect('settings', { onSnapshot: showSnapshot })

function showSnapshot(snapshot: Snapshot): void {
  networks.replaceChildren(...snapshot.networks.map(networkCard))
  if (snapshot.isUnlocked === isUnlocked) return
  isUnlocked = snapshot.isUnlocked
  // The form is made once: what is being typed into it stays.
  main.replaceChildren(...(isUnlocked ? settings(snapshot) : lockedView()))
}

function settings(snapshot: Snapshot): readonly Node[] {
  return [
    element(
      'div',
      { class: 'row' },
      element('h1', {}, 'Networks'),
      element('button', { testId: 'lock', onClick: () => void send({ command: 'lock' }) }, 'Lock'),
    ),
    element('p', { class: 'quiet' }, 'Each network uses the endpoint that is chosen here.'),
    networks,
    element('h2', {}, 'Only in the stand-in'),
    form(snapshot),
  ]
}

function networkCard({ chainId, name, endpoints, defaultEndpoint }: Network): Node {
  return element(
    'section',
    { class: 'card' },
    element('strong', {}, name),
    ...endpoints.map((endpoint, index) => {
      const choose = () => void send({ command: 'use-endpoint', chainId, index })
      const testId = `endpoint-${chainId}-${index}`
      const radio = element('input', { type: 'radio', name: chainId, testId, onClick: choose })
      radio.checked = index === defaultEndpoint
      return element(
        'label',
        {},
        radio,
        element('span', {}, `${endpoint.name} `, element('code', { class: 'quiet' }, endpoint.url)),
      )
    }),
  )
}

function form({ networks, settings }: Snapshot): Node {
  const infura = networks.find(({ chainId }) => chainId === '0x1')?.endpoints[0]?.url ?? ''
  const infuraUrl = element('input', { type: 'text', value: infura, testId: 'infura-url' })
  const pollPeriod = element('input', { type: 'number', value: String(settings.pollPeriod), testId: 'poll-period' })
  const retryDelay = element('input', { type: 'number', value: String(settings.retryDelay), testId: 'retry-delay' })
  const saved = element('p', { class: 'quiet', testId: 'saved', role: 'status' })

  async function save(): Promise<void> {
    await send({
      command: 'configure',
      infuraUrl: infuraUrl.value,
      settings: { pollPeriod: Number(pollPeriod.value), retryDelay: Number(retryDelay.value) },
    })
    saved.textContent = 'Saved.'
  }

  return element(
    'section',
    { class: 'card' },
    element('label', { class: 'field' }, 'URL that stands for Infura', infuraUrl),
    element('label', { class: 'field' }, 'Milliseconds between polls', pollPeriod),
    element('label', { class: 'field' }, 'Milliseconds before a failed request is repeated', retryDelay),
    saved,
    element('button', { testId: 'save', onClick: () => void save() }, 'Save'),
  )
}
