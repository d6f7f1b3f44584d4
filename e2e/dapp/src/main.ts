/**
 * The demo dapp: a page as any other, which knows nothing of Nightjar. Every button and every answer has a
 * `data-testid`; `window.demo` lets tests ask a provider directly.
 */
import { formatEther } from 'viem'
import { type Action, accountsOf, actions, publicClient } from './actions.ts'
import { discoverProviders, type Provider } from './providers.ts'
import { createSubscriptions } from './subscriptions.ts'

const select = byTestId<HTMLSelectElement>('providers')
const providers = discoverProviders(showProviders)
const subscriptions = createSubscriptions((push) => prepend('pushes', push))
const watched = new Set<Provider>()

Object.assign(window, {
  demo: {
    providers: () => providers.names,
    request: (name: string, method: string, params?: unknown) =>
      providers.find(name).request({ method, ...(params === undefined ? {} : { params }) }),
  },
})

byTestId('connect').addEventListener('click', () => void connect())
select.addEventListener('change', () => void showStatus())
for (const form of document.querySelectorAll<HTMLFormElement>('form[data-action]')) wire(form)

function showProviders(names: readonly string[]): void {
  const chosen = select.value
  select.replaceChildren(...names.map((name) => new Option(name)))
  if (names.includes(chosen)) select.value = chosen
  byTestId<HTMLButtonElement>('connect').disabled = names.length === 0
  byTestId('problem').textContent = names.length === 0 ? 'No wallet has announced itself to this page.' : ''
}

async function connect(): Promise<void> {
  const provider = providers.find(select.value)
  watch(provider)
  byTestId('problem').textContent = ''
  try {
    await provider.request({ method: 'eth_requestAccounts' })
  } catch (error) {
    byTestId('problem').textContent = describeError(error).message
  }
  await showStatus()
}

/** Shows the provider's events; the chain and the accounts are read again. */
function watch(provider: Provider): void {
  if (watched.has(provider)) return
  watched.add(provider)
  for (const event of ['connect', 'disconnect', 'chainChanged', 'accountsChanged']) {
    provider.on(event, (value: unknown) => {
      prepend('events', { event, value })
      void showStatus()
    })
  }
}

async function showStatus(): Promise<void> {
  const provider = providers.find(select.value)
  const client = publicClient(provider)
  const accounts = await accountsOf(provider)
  const [account] = accounts
  byTestId('accounts').textContent = accounts.length === 0 ? 'none connected' : accounts.join(' ')
  byTestId('chain').textContent = String(await client.getChainId())
  const [block, balance] = await Promise.allSettled([
    client.getBlockNumber(),
    account === undefined ? undefined : client.getBalance({ address: account }),
  ])
  byTestId('block').textContent = block.status === 'fulfilled' ? String(block.value) : '–'
  byTestId('balance').textContent =
    balance.status === 'fulfilled' && balance.value !== undefined ? `${formatEther(balance.value)} ETH` : '–'
  const failed = [block, balance].find(({ status }) => status === 'rejected')
  byTestId('problem').textContent = failed?.status === 'rejected' ? describeError(failed.reason).message : ''
}

function wire(form: HTMLFormElement): void {
  const name = form.dataset.action as string
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const fields = Object.fromEntries([...new FormData(form)].map(([key, value]) => [key, String(value)]))
    const button = event.submitter as HTMLButtonElement
    void run(name, actions[name] ?? subscriptionAction(button.value), fields, button)
  })
}

function subscriptionAction(kind: string): Action {
  if (kind === '') return () => subscriptions.unsubscribe()
  return (provider, { address = '' }) => subscriptions.subscribe(provider, kind, address)
}

async function run(name: string, action: Action, fields: Parameters<Action>[1], button: HTMLButtonElement) {
  const answer = byTestId(`${name}-answer`)
  button.disabled = true
  delete answer.dataset.state
  answer.textContent = ''
  try {
    const result = await action(providers.find(select.value), fields)
    answer.textContent = toJson(result)
    if (name === 'get-logs') showSize(result as readonly unknown[], answer.textContent.length)
    answer.dataset.state = 'done'
  } catch (error) {
    answer.textContent = toJson(describeError(error))
    answer.dataset.state = 'error'
  }
  button.disabled = false
}

function showSize(logs: readonly unknown[], characters: number): void {
  byTestId('logs-size').textContent = `${logs.length} logs, ${(characters / 1e6).toFixed(2)} MB`
}

function prepend(testId: string, value: unknown): void {
  const item = document.createElement('li')
  item.textContent = toJson(value)
  byTestId(testId).prepend(item)
}

/** The provider's own error, out of what viem wraps around it. */
function describeError(error: unknown): { readonly code?: unknown; readonly message: string; readonly data?: unknown } {
  let innermost: unknown = error
  while (innermost instanceof Error && innermost.cause !== undefined) innermost = innermost.cause
  const { code, message, data } = innermost as { code?: unknown; message?: unknown; data?: unknown }
  return { code, message: String(message ?? innermost), data }
}

function toJson(value: unknown): string {
  return JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? String(part) : part)) ?? 'null'
}

function byTestId<Type extends HTMLElement>(testId: string): Type {
  return document.querySelector(`[data-testid="${testId}"]`) as Type
}
