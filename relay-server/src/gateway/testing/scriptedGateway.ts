/** A gateway that keeps what it is asked, and answers as it is told. */
import type { Outcome, Question } from '@nightjar/shared/rpc'
import type { Followed } from '../followStream.ts'
import type { Gateway } from '../gateway.ts'

export class ScriptedGateway implements Gateway {
  readonly asked: { question: Question; signal: AbortSignal }[] = []
  answerWith: (question: Question) => Promise<Outcome> = () => Promise.resolve({ result: '0x1' })

  answer(question: Question, signal: AbortSignal): Promise<Outcome> {
    this.asked.push({ question, signal })
    return this.answerWith(question)
  }

  follow(): Followed {
    throw new Error('what goes on answering is tested beside followStream.ts')
  }

  close(): void {}
}
