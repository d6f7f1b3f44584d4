/**
 * The table of everything that can go wrong, in one place.
 *
 * `wire` is the byte that END, BRANCH_CLOSED, DESTROY and link closes carry (a link close sends 4000 + wire as its
 * WebSocket code). The table is append-only: a number, once given, is never reused. Codes without a number never leave
 * the process they arise in.
 *
 * `rpc` is what a wallet sees: the EIP-1193 provider codes 4900 and 4901 where they fit, JSON-RPC 2.0 codes otherwise.
 */
export interface ErrorEntry {
  readonly wire?: number
  readonly rpc: number
  /** What happened and what the user can do about it. Never names an address, method, request or destination. */
  readonly sentence: string
}

const unauthorised = 4100
const disconnected = 4900
const chainDisconnected = 4901
const invalidRequest = -32600
const methodNotFound = -32601
const internal = -32603
const parseError = -32700
const limitExceeded = -32005

export const errorTable = {
  done: { wire: 0, rpc: internal, sentence: 'Finished without an error.' },
  'protocol-violation': {
    wire: 1,
    rpc: disconnected,
    sentence: 'The other side broke the Nightjar protocol and was dropped. Update Nightjar; if it recurs, report it.',
  },
  'cell-rejected': {
    wire: 2,
    rpc: disconnected,
    sentence: 'A cell failed its authentication, so its circuit was destroyed. Nightjar builds a new one by itself.',
  },
  overflow: {
    wire: 3,
    rpc: limitExceeded,
    sentence: 'More cells were sent than the branch allows, so it was closed. Nightjar builds a new one by itself.',
  },
  'limit-reached': {
    wire: 4,
    rpc: limitExceeded,
    sentence: 'A relay has reached one of its limits. Try again in a moment.',
  },
  'unknown-relay': {
    wire: 5,
    rpc: disconnected,
    sentence: 'A relay does not know the next one: their network documents differ. Refresh the network document.',
  },
  'connect-failed': {
    wire: 6,
    rpc: disconnected,
    sentence: 'A relay could not be reached. Nightjar tries another; if all fail, check your connection.',
  },
  'link-lost': {
    wire: 7,
    rpc: disconnected,
    sentence: 'The connection to a relay was lost. Nightjar builds a new path by itself.',
  },
  'handshake-failed': {
    wire: 8,
    rpc: disconnected,
    sentence: 'A relay did not prove who it is, so nothing was sent. Refresh the network document and try again.',
  },
  'unknown-key': {
    wire: 9,
    rpc: disconnected,
    sentence: 'A relay no longer holds the key that was used. Refresh the network document and try again.',
  },
  'timed-out': { wire: 10, rpc: disconnected, sentence: 'No answer came in time. Try again.' },
  draining: { wire: 11, rpc: disconnected, sentence: 'The relay is shutting down. Nightjar moves to another.' },
  'unknown-service': {
    wire: 12,
    rpc: disconnected,
    sentence: 'The relay does not offer this service. Refresh the network document.',
  },
  refused: { wire: 13, rpc: disconnected, sentence: 'The policy of the relay does not allow this.' },
  'upstream-failed': {
    wire: 14,
    rpc: internal,
    sentence: 'The gateway could not get an answer from its RPC provider. Try again; another gateway may do.',
  },
  'method-not-allowed': {
    wire: 15,
    rpc: methodNotFound,
    sentence: 'This method is not forwarded to RPC providers. Use one of the public Ethereum JSON-RPC API.',
  },
  'chain-not-served': {
    wire: 16,
    rpc: chainDisconnected,
    sentence: 'No gateway serves this chain. Choose a chain that the network serves (`nightjar status`).',
  },
  'request-too-large': { wire: 17, rpc: limitExceeded, sentence: 'The request is too large. Split it up.' },
  'answer-too-large': {
    wire: 18,
    rpc: limitExceeded,
    sentence: 'The answer is too large. Ask for less, for example a smaller block range.',
  },
  'envelope-rejected': {
    wire: 19,
    rpc: disconnected,
    sentence: 'A sealed message could not be opened. Nightjar seals it again on a new branch.',
  },
  cancelled: { wire: 20, rpc: disconnected, sentence: 'The request was cancelled.' },
  internal: { wire: 21, rpc: internal, sentence: 'Something broke inside Nightjar. Look at its log and report it.' },
  replayed: { wire: 22, rpc: disconnected, sentence: 'A message arrived twice and was refused the second time.' },
  'branch-retired': {
    wire: 23,
    rpc: disconnected,
    sentence: 'The branch was replaced by a fresh one. Nightjar repeats the request there by itself.',
  },
  idle: { wire: 24, rpc: disconnected, sentence: 'The connection was idle for too long and was closed.' },
  'host-not-listed': {
    wire: 25,
    rpc: disconnected,
    sentence: 'This host is not on the list of hosts that exits carry, or not on port 443, so nothing was sent.',
  },
  'address-forbidden': {
    wire: 26,
    rpc: disconnected,
    sentence: 'The name of this host leads to a private or local address, so the exit refused to connect to it.',
  },
  'name-not-found': {
    wire: 27,
    rpc: disconnected,
    sentence: 'The exit could not find the address of this host. Check the name, or try again.',
  },
  'host-unreachable': {
    wire: 28,
    rpc: disconnected,
    sentence: 'The host does not take connections from the exit. Try again in a moment.',
  },
  'connection-reset': {
    wire: 29,
    rpc: disconnected,
    sentence: 'The host ended the connection before it was done. Try again.',
  },
  busy: {
    wire: 30,
    rpc: limitExceeded,
    sentence: 'A relay has more to do than it can. Nightjar tries another; if all are busy, try again in a moment.',
  },

  'network-unreachable': {
    rpc: disconnected,
    sentence:
      'Nightjar cannot reach its network, so nothing was sent (it never goes direct). Check your connection, then `nightjar status`.',
  },
  'document-malformed': {
    rpc: disconnected,
    sentence: 'The network document cannot be read. Fetch it again from a source you trust.',
  },
  'document-under-signed': {
    rpc: disconnected,
    sentence: 'The network document lacks valid signatures of enough pinned directory keys. Fetch it again.',
  },
  'document-expired': {
    rpc: disconnected,
    sentence: 'The network document has expired. Check the clock of this computer, then fetch a fresh one.',
  },
  'document-not-yet-valid': {
    rpc: disconnected,
    sentence: 'The network document is not valid yet. Set the clock of this computer right.',
  },
  'document-rolled-back': {
    rpc: disconnected,
    sentence: 'The network document is older than, or differs from, one already seen. Fetch the newest one.',
  },
  'document-needs-update': {
    rpc: disconnected,
    sentence: 'The network needs a newer Nightjar. Update it.',
  },
  'no-path': {
    rpc: disconnected,
    sentence: 'The network document has no path of distinct operators and networks. Fetch a newer one.',
  },
  'no-exit': {
    rpc: disconnected,
    sentence: 'No exit of the network carries this host, so nothing was sent. Fetch a newer network document.',
  },
  'host-blocked': { rpc: disconnected, sentence: 'You chose to block this host in the options, so nothing was sent.' },
  'proxy-taken': {
    rpc: disconnected,
    sentence:
      'Another extension or a policy sets the browser’s proxy, so the shield cannot be put up. Turn that one off, then try again.',
  },
  'proxy-unknown': {
    rpc: disconnected,
    sentence:
      'The browser’s proxy is found by a script, or of a kind, that Nightjar cannot read, so the shield would lose it. Set a fixed proxy, then try again.',
  },
  'requests-hidden': {
    rpc: disconnected,
    sentence:
      'Nightjar may not see requests to all sites, so the shield cannot be put up. Allow it on the browser’s page of extensions.',
  },
  'outcome-unknown': {
    rpc: internal,
    sentence:
      'The transaction may or may not have been accepted. Look it up by its hash before you send another with the same nonce.',
  },
  'bad-json': { rpc: parseError, sentence: 'The request is not valid JSON.' },
  'bad-request': { rpc: invalidRequest, sentence: 'The request is not a valid JSON-RPC 2.0 request.' },
  'config-invalid': { rpc: internal, sentence: 'The configuration is wrong. Correct the line that is named.' },
  'file-unusable': { rpc: internal, sentence: 'A file cannot be used. Check that it exists and its permissions.' },
  'daemon-not-running': {
    rpc: disconnected,
    sentence: 'The Nightjar daemon is not running. Start it with `nightjar up`.',
  },
  'already-running': { rpc: internal, sentence: 'A Nightjar daemon is already running. Stop it first.' },
  'malformed-frame': { rpc: invalidRequest, sentence: 'A message on the local socket is malformed. Update Nightjar.' },

  'turned-off': { rpc: disconnected, sentence: 'Nightjar is turned off. Open it and press Go private.' },
  'host-not-installed': {
    rpc: disconnected,
    sentence: 'The Nightjar program is not installed for this browser. Run `nightjar install`, then try again.',
  },
  'host-forbidden': {
    rpc: disconnected,
    sentence: 'The Nightjar program does not know this extension. Run `nightjar install` again.',
  },
  'host-exited': {
    rpc: disconnected,
    sentence:
      'The Nightjar program ended. It is started again by itself; if that goes on, run `nightjar up` and read what it says.',
  },
  'host-garbled': {
    rpc: disconnected,
    sentence: 'The Nightjar program sent something that cannot be read. Install the same version of both parts.',
  },
  'host-outdated': {
    rpc: disconnected,
    sentence: 'The Nightjar program is older than this extension. Update it, then run `nightjar install` again.',
  },
  'extension-outdated': {
    rpc: disconnected,
    sentence: 'This extension is older than the Nightjar program. Update the extension.',
  },
  'daemon-failed': {
    rpc: disconnected,
    sentence: 'The Nightjar daemon could not be started. Run `nightjar up` and read what it says.',
  },
  'no-directory-keys': {
    rpc: disconnected,
    sentence: 'No directory keys are set, so no network can be trusted. Enter those of your network in the options.',
  },
  'gateway-untrusted': {
    rpc: disconnected,
    sentence: 'The Nightjar program named a gateway that the network document does not know. Nothing was sent.',
  },
  'endpoint-not-ours': {
    rpc: disconnected,
    sentence:
      'Another program answers on the endpoint’s port, so no wallet was pointed at it. End it, or set endpoint.port.',
  },
  'wallet-absent': {
    rpc: disconnected,
    sentence: 'No wallet answered. Install MetaMask, or set the id of yours in the options; then try again.',
  },
  'wallet-refused': {
    rpc: disconnected,
    sentence: 'The wallet was not changed, because its dialog was rejected. Try again and approve both dialogs.',
  },
  'wallet-busy': {
    rpc: disconnected,
    sentence: 'The wallet still shows an earlier dialog. Open it, answer that one, then try again.',
  },
  'wallet-blocked': {
    rpc: disconnected,
    sentence: 'The wallet refuses further questions after several rejections. Restart the browser, then try again.',
  },
  'wallet-unasked': {
    rpc: disconnected,
    sentence: 'The wallet has not been asked to use Nightjar for this yet. Try again, and approve its dialogs.',
  },
  'wallet-silent': {
    rpc: disconnected,
    sentence: 'The wallet did not answer. Open it, unlock it and answer its dialog; then try again.',
  },
  'wallet-failed': {
    rpc: disconnected,
    sentence: 'The wallet answered with an error. Add the endpoint by hand (options), or try again.',
  },
  'wallet-unseen': {
    rpc: disconnected,
    sentence: 'The wallet agreed, but nothing has come from it yet. Open it once: it asks when its window is open.',
  },
  'page-orphaned': { rpc: disconnected, sentence: 'Nightjar was updated or removed. Reload this page.' },
  'wallet-missing': {
    rpc: unauthorised,
    sentence: 'This needs a wallet, and none was found on this page. Install one, or unlock it, and reload the page.',
  },
  'would-link': {
    rpc: unauthorised,
    sentence:
      'This names several of your accounts at once, which would show that they belong together. Allow it in the settings, or ask for one account at a time.',
  },
  'answer-refuted': {
    rpc: disconnected,
    sentence:
      'What a gateway answered was proved wrong, or others contradict it, so it is not shown. Try again; that gateway is avoided.',
  },
  'still-apart': {
    rpc: limitExceeded,
    sentence:
      'Your accounts are asked for one by one, so that nobody sees that they belong together. Try again later: another account’s turn takes ten seconds, and until all are known it takes up to half an hour.',
  },
  'too-many-sites': {
    rpc: limitExceeded,
    sentence: 'More sites are open at once than Nightjar keeps apart. Close some, and try again.',
  },
  'answer-unconfirmed': {
    rpc: disconnected,
    sentence: 'Only one gateway knows of this block so far, so what it says is not shown. Try again in a moment.',
  },
} as const satisfies Record<string, ErrorEntry>

export type ErrorCode = keyof typeof errorTable

/** Whether `text`, from another process or version, is a code that this version knows. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorTable, text)
}

const byWire = new Map<number, ErrorCode>()
for (const [code, entry] of Object.entries(errorTable) as [ErrorCode, ErrorEntry][]) {
  if (entry.wire !== undefined) byWire.set(entry.wire, code)
}

/** The byte for `code` on the wire; codes that have none travel as `internal`. */
export function toWire(code: ErrorCode): number {
  const entry: ErrorEntry = errorTable[code]
  return entry.wire ?? errorTable.internal.wire
}

/** The code for a byte from the wire; a number this version does not know counts as `protocol-violation`. */
export function fromWire(wire: number): ErrorCode {
  return byWire.get(wire) ?? 'protocol-violation'
}
