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

/** Looks, one each second, at which a worker was silent. */
const mostSilent = 10
/** From so many on it gets no connections while others do. */
const suspectAfter = 3
/** The same as the first until it says something for the first time: a process takes its time to begin, on a busy machine. */
const mostSilentAtFirst = 60

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
  #start: Waiting | undefined
  #silentLooks = 0
  #hasSpoken = false
  isOver = false
  /** Whether it gets connections. */
  isServing = false
  /** Which configuration and keys it has, as its parent counts them. */
  version = 0
  checks: readonly Check[] = []
  /** What it has counted when it was asked last. */
  lastReading: Reading | undefined

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
  }

  /** To be asked once a second: whether it has said nothing for so long that it must hang. It speaks each second. */
  isTooSilent(): boolean {
    this.#silentLooks += 1
    return this.#silentLooks > (this.#hasSpoken ? mostSilent : mostSilentAtFirst)
  }

  get isSpeaking(): boolean {
    return this.#silentLooks < suspectAfter
  }

  /** `address` was admitted for it, and is given back when it says so, or ends. */
  hand(connection: Socket, address: string | undefined): void {
    if (address !== undefined) {
      this.#countAdmitted(address)
      // Told only where it could not be sent: one that was is another process's.
      connection.once('close', () => this.#release(address))
    }
    this.#process.send({ order: 'link', address }, connection)
  }

  async read(): Promise<void> {
    this.lastReading = (await this.#ask({ order: 'read' })) ?? this.lastReading
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
    if (!this.isOver) this.#process.kill()
    return this.#ended
  }

  #ask(question: Question): Promise<Reading | undefined> {
    if (this.isOver) return Promise.reject(new NightjarError('cancelled'))
    this.#lastId += 1
    const id = this.#lastId
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#process.send({ ...question, id })
    })
  }

  #handle(report: Report): void {
    this.#silentLooks = 0
    this.#hasSpoken = true
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
      case 'alive':
        return
    }
  }

  async #admit(id: number, address: string): Promise<void> {
    const refusal = await this.#ipGate?.admit(address)
    if (refusal === undefined) {
      this.#countAdmitted(address)
      if (this.isOver) return this.#release(address)
    }
    this.#process.send({ order: 'admitted', id, refusal })
  }

  #countAdmitted(address: string): void {
    this.#admitted.set(address, (this.#admitted.get(address) ?? 0) + 1)
  }

  #release(address: string): void {
    const count = this.#admitted.get(address)
    // Given back when it ended.
    if (count === undefined) return
    if (count > 1) this.#admitted.set(address, count - 1)
    else this.#admitted.delete(address)
    this.#ipGate?.release(address)
  }

  #end(): void {
    this.isOver = true
    const error = new NightjarError('internal', { detail: 'a worker ended' })
    this.#start?.reject(error)
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
    for (const [address, count] of [...this.#admitted]) for (let each = 0; each < count; each++) this.#release(address)
  }
}
