/** What the doctor finds of a relay whose files are in order until a test says otherwise, and servers that it may ask. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net'
import { expect } from 'vitest'
import { certificate, certificateKey } from './certificate.ts'
import { createHarness, type Harness } from './harness.ts'

export interface Finding {
  readonly subject: string
  readonly status: 'ok' | 'note' | 'problem'
  readonly finding: string
  readonly remedy?: string
  readonly code?: string
}

/** For `listen` in relay.yaml, once `certify` has written the files. */
export const tls = { cert_file: 'cert.pem', key_file: 'key.pem' }

/** For `serve`: answers everybody the same, in JSON. */
export const answering = (value: unknown) => createServer((_, response) => void response.end(JSON.stringify(value)))

export class DoctorStage {
  readonly cli: Harness
  readonly #closing: { close(): unknown }[] = []

  private constructor(cli: Harness) {
    this.cli = cli
  }

  static async set(): Promise<DoctorStage> {
    return new DoctorStage(await createHarness())
  }

  /** A relay whose files are in order, with a document that lists it. @param options for its descriptor */
  async healthy(change: Record<string, unknown> = {}, ...options: readonly string[]): Promise<void> {
    const { cli } = this
    const key = (await cli.run('keygen', '--directory', '@directory.key')).out.trim()
    const network = { document: 'network.json', trust: { keys: [key], threshold: 1 } }
    await cli.relay('one', { network, admin: { health_port: 0, metrics_port: 0 }, ...change })
    if (options.length > 0) await cli.run('descriptor', '--config', '@one.yaml', '--out', '@one.json', ...options)
    await cli.write('relays.yaml', '- { descriptor: one.json, operator: alice }\n')
    await cli.run('network', 'sign', '--relays', '@relays.yaml', '--key', '@directory.key', '--out', '@network.json')
  }

  /** Writes the files that `tls` names. */
  async certify({ cert, key } = { cert: certificate, key: certificateKey }): Promise<void> {
    await this.cli.write('cert.pem', cert)
    await this.cli.write('key.pem', key, 0o600)
  }

  /** What the doctor says, in a form that always holds: the exit code fits, and each problem comes with what to do. */
  async examine(): Promise<{ all: readonly Finding[]; problems: readonly Finding[] }> {
    const { out, exitCode } = await this.cli.run('doctor', '--config', '@one.yaml', '--json')
    const { ok, findings } = JSON.parse(out) as { ok: boolean; findings: Finding[] }
    const problems = findings.filter(({ status }) => status === 'problem')
    expect([ok, exitCode]).toEqual(problems.length === 0 ? [true, 0] : [false, 1])
    for (const { remedy, code } of problems)
      expect([remedy, code]).toEqual([expect.stringMatching(/\w/), expect.any(String)])
    return { all: findings, problems }
  }

  /** A server of the test on loopback, and its port. */
  async serve(server: Server, host = '127.0.0.1'): Promise<number> {
    server.listen(0, host)
    await once(server, 'listening')
    this.closeLater(server)
    return (server.address() as AddressInfo).port
  }

  /** One on which nobody listens. */
  async freePort(): Promise<number> {
    const server = createTcpServer()
    const port = await this.serve(server)
    await new Promise((resolve) => server.close(resolve))
    return port
  }

  closeLater(each: { close(): unknown }): void {
    this.#closing.push(each)
  }

  async remove(): Promise<void> {
    for (const each of this.#closing) each.close()
    await this.cli.remove()
  }
}
