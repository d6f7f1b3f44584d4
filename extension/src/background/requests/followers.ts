/** The followers of chains: one for each isolation group and chain, while somebody listens. */
import type { Call, Outcome } from '@nightjar/shared/rpc'
import type { Clock } from '@nightjar/shared/runtime'
import { type HeadChange, HeadFollower, type HeadsOptions } from './heads.ts'
import type { PrivateRequests } from './privateRequests.ts'

export interface FollowersOptions {
  readonly clock: Clock
  readonly requests: Pick<PrivateRequests, 'request' | 'follow'>
}

/** Cells of each pushed header. */
const headCells = 4

export class HeadFollowers {
  readonly #options: FollowersOptions
  readonly #followers = new Map<string, HeadFollower>()

  constructor(options: FollowersOptions) {
    this.#options = options
  }

  /** @returns what ends it */
  listen(group: string, chain: number, listener: (change: HeadChange) => void): () => void {
    const { clock, requests } = this.#options
    const key = `${chain} ${group}`
    const read = (call: Call): Promise<Outcome> => requests.request({ group, chain, call })
    const question = { chain, cells: headCells, method: 'eth_subscribe', params: ['newHeads'] }
    const follow: HeadsOptions['follow'] = (handler) =>
      requests.follow({ group, chain, questionFor: () => question }, handler)
    const follower = this.#followers.get(key) ?? new HeadFollower({ clock, follow, read })
    this.#followers.set(key, follower)
    const end = follower.listen(listener)
    return () => {
      end()
      if (!follower.isUsed && this.#followers.get(key) === follower) this.#followers.delete(key)
    }
  }
}
