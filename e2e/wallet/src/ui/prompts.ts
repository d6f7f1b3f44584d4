/** How each question is put to the user. */
import type { Address } from 'viem'
import type { Prompt } from '../ui.ts'
import { element, facts, short } from './dom.ts'

export interface Dialog {
  readonly title: string
  readonly text: string
  readonly details: Node
  readonly isDangerous?: true
  /** What the user chose in it. */
  readonly answer?: () => { readonly accounts: readonly Address[] }
}

export function dialogsOf(prompt: Prompt, accounts: readonly Address[]): readonly Dialog[] {
  switch (prompt.kind) {
    case 'unlock':
      // Settled by unlocking; there is nothing to show.
      return [{ title: 'Unlock', text: '', details: element('p') }]
    case 'connect':
      return [connectDialog(accounts)]
    case 'add-network':
      return networkDialogs(prompt)
    case 'switch-network':
      return [
        {
          title: `Use ${prompt.name}`,
          text: 'This site wants to use another network.',
          details: facts([['Network', `${prompt.name} (${Number(prompt.chainId)})`]]),
        },
      ]
    case 'transaction':
      return [
        {
          title: prompt.to === null ? 'Deploy a contract' : 'Send a transaction',
          text: `On ${prompt.network}.`,
          details: facts([
            ['From', prompt.from],
            ['To', prompt.to ?? 'new contract'],
            ['Amount', `${prompt.value} ETH`],
            ['Network fee', `at most ${prompt.fee} ETH`],
            ['Data', prompt.data],
          ]),
        },
      ]
    case 'sign':
      return [
        {
          title: 'Sign a message',
          text: `With account ${short(prompt.account)}.`,
          details: element('pre', {}, prompt.message),
        },
      ]
  }
}

function connectDialog(accounts: readonly Address[]): Dialog {
  const boxes = accounts.map((address, index) => {
    const box = element('input', { type: 'checkbox', value: address, testId: `choose-${index}` })
    box.checked = index === 0
    return box
  })
  return {
    title: 'Connect this site',
    text: 'It will see the addresses and balances of the accounts that you choose, and may ask for your approval.',
    details: element(
      'div',
      {},
      ...boxes.map((box) => element('label', {}, box, element('span', {}, element('code', {}, box.value)))),
    ),
    answer: () => ({ accounts: accounts.filter((_, index) => boxes[index]?.checked === true) }),
  }
}

function networkDialogs(prompt: Extract<Prompt, { kind: 'add-network' }>): readonly Dialog[] {
  const { chainId, name, symbol, url, knownAs } = prompt
  const details = () =>
    facts([
      ['Network', knownAs ?? name],
      ['Network URL', url],
      ['Endpoint name', name],
      ['Chain ID', String(Number(chainId))],
      ['Currency', symbol],
    ])
  if (knownAs === undefined) {
    return [{ title: `Add ${name}`, text: 'This site wants to add a network to your wallet.', details: details() }]
  }
  return [
    {
      title: `Update ${knownAs}`,
      text: `This site wants to update the default network URL of ${knownAs}. Names and endpoints can be changed later.`,
      details: details(),
    },
    {
      title: 'You are adding a new RPC provider',
      text: 'The provider sees your IP address, your accounts and what you send. Go on only if you trust it.',
      details: facts([['New provider', url]]),
      isDangerous: true,
    },
  ]
}
