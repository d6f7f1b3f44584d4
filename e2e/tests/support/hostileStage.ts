/** A stage on which the native program is in the hands of the test, private when the tests begin. */
import type { Page } from 'playwright-core'
import { afterAll, afterEach, expect } from 'vitest'
import {
  goPrivate,
  openWalletWhenAsked,
  type PopupState,
  popupState,
  type Stage,
  type StageOptions,
  untilPopup,
} from '../../src/browser/index.ts'
import type { Message } from '../../src/network/frames.ts'
import { until } from '../../src/network/index.ts'
import { fundedAccount, resultOf } from './chain.ts'
import { changing, type MiddleHost, startMiddleHost } from './middleHost.ts'
import { useStage } from './stage.ts'

export interface HostileStage {
  readonly stage: Stage
  readonly middle: MiddleHost
  readonly popup: Page
  /** What the extension has asked for since the program last misbehaved. */
  said(type: string): readonly Message[]
  /** Off, and on again with the program as `misbehave` makes it. */
  turnOnWith(misbehave: () => void): Promise<void>
  /** The program is honest again, and nothing that it said before is remembered. */
  recover(): Promise<void>
  /** Presses whichever of the buttons is there until the popup says `state`: what they do may overtake one another. */
  pressUntil(state: PopupState, ...names: readonly string[]): Promise<void>
  /** The popup says `state`, and somewhere in it the sentence. */
  expectState(state: PopupState, sentence: RegExp | string): Promise<void>
  /** Has the program lie about the daemon's status, in answers and events alike. */
  lieInStatus(lie: (status: Record<string, unknown>) => object): void
  /** The browser was started anew, and its popup is opened. */
  reopen(): Promise<void>
}

/** Whose balance the tests ask for. */
export const alice = fundedAccount(0).address

export const balanceOfAlice = (stage: Stage) =>
  resultOf(stage.network.nodes[1] as string, 'eth_getBalance', [alice, 'latest'])

export function useHostileStage(options: StageOptions): HostileStage {
  let middle: MiddleHost
  let popup: Page
  const stage = useStage(options, async (stage) => {
    middle = await startMiddleHost(stage)
    await middle.install()
    popup = (await goPrivate(stage)).popup
    stage.leak?.forget()
  })
  afterAll(() => middle.close())
  afterEach(() => {
    // Whatever the program did: nothing went to the wallet's own provider once the wallet had agreed to ours.
    expect(stage.leak?.seen).toEqual([])
  })

  const hostile: HostileStage = {
    stage,
    get middle() {
      return middle
    },
    get popup() {
      return popup
    },
    said: (wanted) => middle.seen.filter(({ type }) => type === wanted),

    async turnOnWith(misbehave) {
      // Tabs behind others are slow to be drawn.
      await popup.bringToFront()
      await hostile.pressUntil('Off', 'Turn off', 'Cancel')
      middle.behave()
      misbehave()
      await popup.getByRole('button', { name: 'Go private' }).click()
    },

    async recover() {
      await hostile.turnOnWith(() => {})
      const home = await openWalletWhenAsked(popup, stage.wallet)
      await untilPopup(popup, 'Private')
      await home.close()
    },

    pressUntil: (state, ...names) =>
      until(`the popup says ${state}`, async () => {
        // In one go, as a button that was found may be gone a moment later.
        await popup.evaluate(
          `[...document.querySelectorAll('button')].findLast((each) => ${JSON.stringify(names)}.includes(each.innerText))?.click()`,
        )
        return (await popupState(popup)) === state
      }),

    async expectState(state, sentence) {
      await untilPopup(popup, state)
      await popup.getByText(sentence).first().waitFor()
    },

    lieInStatus(lie) {
      const answers = changing('status', lie)
      middle.fromDaemon = (message, link, request) => {
        if (message.event !== 'status') return answers(message, link, request)
        link.toBrowser({ ...message, status: lie(message.status as Record<string, unknown>) })
      }
    },

    async reopen() {
      popup = await stage.nightjar.openPopup()
    },
  }
  return hostile
}

/** A copy in which bit `at` is another, counted around the end. */
export function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  const index = Math.floor(at / 8) % copy.length
  copy[index] = (copy[index] as number) ^ (1 << (at % 8))
  return copy
}
