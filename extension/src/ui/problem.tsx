/** A problem's sentence, and the way to our page that puts it right, where there is one. */
import type { Problem } from '../messages/ui.ts'
import { AlertIcon } from './icons.tsx'
import { pages } from './pages.ts'
import { actions, remedies } from './texts.ts'

export function Sentence({ problem }: { readonly problem: Problem }) {
  const remedy = remedies[problem.code]
  return (
    <>
      <Prose text={problem.sentence} />
      {remedy !== undefined && pages[remedy] !== location.pathname && (
        <>
          {' '}
          <a href={pages[remedy]} target="_blank" rel="noreferrer">
            {remedy === 'setup' ? actions.setup : actions.options}
          </a>
        </>
      )}
    </>
  )
}

export function ProblemCard({ problem, onRetry }: { readonly problem: Problem; readonly onRetry: () => void }) {
  return (
    <section class="problem" role="alert">
      <AlertIcon />
      <p>
        <Sentence problem={problem} />
      </p>
      <button type="button" onClick={onRetry}>
        {actions.retry}
      </button>
    </section>
  )
}

/** The sentences of the table of errors set commands between back quotes. */
export function Prose({ text }: { readonly text: string }) {
  return <>{text.split('`').map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))}</>
}
