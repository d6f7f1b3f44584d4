/** Makes elements. Text is always text: nothing that a dapp sends becomes markup. */

type Child = Node | string

interface Properties {
  readonly class?: string
  readonly testId?: string
  readonly onClick?: () => void
  readonly [attribute: string]: string | boolean | (() => void) | undefined
}

export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  { testId, onClick, ...attributes }: Properties = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag)
  if (testId !== undefined) made.dataset.testid = testId
  if (onClick !== undefined) made.addEventListener('click', onClick)
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'string') made.setAttribute(name, value)
    else if (value === true) made.setAttribute(name, '')
  }
  made.append(...children)
  return made
}

/** Terms and what they are here. */
export function facts(rows: readonly (readonly [string, string])[]): HTMLElement {
  return element('dl', {}, ...rows.flatMap(([term, value]) => [element('dt', {}, term), element('dd', {}, value)]))
}

export function short(address: string): string {
  return `${address.slice(0, 8)}…${address.slice(-6)}`
}
