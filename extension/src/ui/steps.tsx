/** The steps of going private, as a list that says where it is and why it stopped. */
import type { Step } from '../messages/ui.ts'
import { CheckIcon, CrossIcon } from './icons.tsx'
import { Sentence } from './problem.tsx'
import { stepStates, stepTexts } from './texts.ts'

interface StepsProps {
  readonly steps: readonly Step[]
  /** Without what went wrong, where that stands elsewhere. */
  readonly bare?: boolean
}

export function Steps({ steps, bare = false }: StepsProps) {
  return (
    <ol class="steps">
      {steps.map((step) => (
        <li
          key={step.id}
          class={`step step-${step.state}`}
          aria-current={step.state === 'running' ? 'step' : undefined}
        >
          <span class="step-icon" aria-hidden="true">
            {step.state === 'done' && <CheckIcon />}
            {step.state === 'failed' && <CrossIcon />}
          </span>
          <div>
            <span class="step-label">{stepTexts[step.id].label}</span>
            <span class="unseen">: {stepStates[step.state]}</span>
            {!bare && <StepDetail step={step} />}
          </div>
        </li>
      ))}
    </ol>
  )
}

function StepDetail({ step }: { readonly step: Step }) {
  if (step.state === 'failed' && step.problem !== undefined)
    return (
      <p class="step-problem" role="alert">
        <Sentence problem={step.problem} />
      </p>
    )
  const hint = step.hint ?? stepTexts[step.id].note
  return step.state === 'running' && hint !== undefined ? <p class="step-hint">{hint}</p> : null
}
