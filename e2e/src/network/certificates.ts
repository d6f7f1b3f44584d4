/** A private certificate authority and one certificate by it, for relays on loopback or for hosts behind an exit; by openssl. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'

export interface Certificates {
  readonly caFile: string
  readonly certFile: string
  readonly keyFile: string
}

/** @param hosts IP addresses and names that the certificate is for; `*.` covers one label */
export function makeCertificates(folder: string, hosts: readonly string[]): Certificates {
  const file = (name: string) => join(folder, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const extensions = file('extensions.cnf')
  writeFileSync(
    extensions,
    `subjectAltName=${hosts.map((host) => `${isIP(host) === 0 ? 'DNS' : 'IP'}:${host}`).join(',')}\nbasicConstraints=CA:FALSE\n`,
  )
  openssl(
    ...['req', '-x509', ...newKey, '-keyout', file('ca.key'), '-out', file('ca.pem')],
    ...['-days', '2', '-subj', '/CN=Nightjar test authority'],
  )
  openssl('req', ...newKey, '-keyout', file('relay.key'), '-out', file('relay.csr'), '-subj', '/CN=relay')
  openssl(
    ...['x509', '-req', '-in', file('relay.csr'), '-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial'],
    ...['-days', '2', '-extfile', extensions, '-out', file('relay.pem')],
  )
  return { caFile: file('ca.pem'), certFile: file('relay.pem'), keyFile: file('relay.key') }
}
