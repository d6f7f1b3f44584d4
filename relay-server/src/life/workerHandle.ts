/** One worker, as its parent has it: orders with their answers, and what it holds that has to be given back if it dies. */
import type { Socket } from 'node:net'
import { NightjarError } from '@nightjar/shared/errors'
import type { IpGate } from '@nightjar/shared-node/link'
import type { Reading } from '../admin/reading.ts'
import type { Check } from '../admin/status.ts'
import type { RelayConfig } from '../config.ts'
import type { Leave } from './carrier.ts'
import { errorOf, type Question, type Report } from './orders.ts'
import type { WorkerProcess } from './workerProcess.ts'

interface Waiting {
  resolve(reading: Reading | undefined): void
  reject(error: NightjarError): void
}

export class WorkerHandle {
  readonly #process: WorkerProcess
  readonly #ipGate: IpGate | undefined
  readonly #waiting = new Map<number, Waiting>()
  readonly #ended: Promise<void>
  /** Connections that were admitted for it, by address. */
  readonly #admitted = new Map<string, number>()
  #lastId = 0
  #isOver = false
  #start: Waiting | undefined
  isServing = false
  checks: readonly Check[] = []

  constructor(process: WorkerProcess, ipGate: IpGate | undefined) {
    this.#process = process
    this.#ipGate = ipGate
    process.onReport((report) => this.#handle(report))
    this.#ended = new Promise((resolve) => process.onEnd(resolve))
    this.onEnd(() => this.#end())
  }

  onEnd(listener: () => void): void {
    this.#process.onEnd(listener)
  }

  /** Resolves when it serves. @throws NightjarError why it does not */
  async start(config: RelayConfig): Promise<void> {
    await new Promise<Reading | undefined>((resolve, reject) => {
      this.#start = { resolve, reject }
      this.#process.send({ order: 'start', config })
    })
    this.isServing = true
  }

  hand(connection: Socket): void {
    this.#process.send({ order: 'link' }, connection)
  }

  async read(): Promise<Reading> {
    return (await this.#ask({ order: 'read' })) ?? { families: [], steps: {} }
  }

  async reload(config: RelayConfig): Promise<void> {
    await this.#ask({ order: 'reload', config })
  }

  async reloadKeys(): Promise<void> {
    await this.#ask({ order: 'reloadKeys' })
  }

  /** Resolves when its process has ended. */
  stop({ seconds, hurry }: Leave): Promise<void> {
    const hasten = () => this.#process.send({ order: 'hurry' })
    this.#process.send({ order: 'stop', seconds })
    if (hurry.aborted) hasten()
    else hurry.addEventListener('abort', hasten)
    return this.#ended
  }

  kill(): Promise<void> {
    if (!this.#isOver) this.#process.kill()
    return this.#ended
  }

  #ask(question: Question): Promise<Reading | undefined> {
    if (this.#isOver) return Promise.reject(new NightjarError('cancelled'))
    this.#lastId += 1
    const id = this.#lastId
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#process.send({ ...question, id })
    })
  }

  #handle(report: Report): void {
    switch (report.report) {
      case 'started':
        return this.#start?.resolve(undefined)
      case 'failed':
        return this.#start?.reject(errorOf(report.error))
      case 'answered': {
        const waiting = this.#waiting.get(report.id)
        this.#waiting.delete(report.id)
        if (report.error === undefined) return waiting?.resolve(report.reading)
        return waiting?.reject(errorOf(report.error))
      }
      case 'checks':
        this.checks = report.checks
        return
      case 'admit':
        return void this.#admit(report.id, report.address)
      case 'release':
        return this.#release(report.address)
    }
  }

  async #admit(id: number, address: string): Promise<void> {
    const refusal = await this.#ipGate?.admit(address)
    if (refusal === undefined) {
      this.#admitted.set(address, (this.#admitted.get(address) ?? 0) + 1)
      if (this.#isOver) return this.#release(address)
    }
    this.#process.send({ order: 'admitted', id, refusal })
  }

  #release(address: string): void {
    const left = (this.#admitted.get(address) ?? 0) - 1
    if (left > 0) this.#admitted.set(address, left)
    else this.#admitted.delete(address)
    this.#ipGate?.release(address)
  }

  #end(): void {
    this.#isOver = true
    const error = new NightjarError('internal', { detail: 'a worker ended' })
    this.#start?.reject(error)
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
    for (const [address, count] of [...this.#admitted]) for (let each = 0; each < count; each++) this.#release(address)
  }
}
