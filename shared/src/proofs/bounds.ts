/** Bounds of this folder, each with what it stops. All work here is linear in what these let through. */
export const bounds = {
  /** Nodes of one proof: a path of 64 nibbles has no more. */
  proofNodes: 65,
  /** Bytes of a node: a branch of 16 hashes (16 × 33, an empty value, 3 of header) is the largest with keys of 32 bytes. */
  nodeBytes: 532,
  /** extraData has 32 bytes; chains of signers (clique) keep their list of signers in it. */
  extraDataBytes: 64 * 1024,
  /** Slots of one question. */
  slots: 1024,
  /** Bytes of one data field (input, log data, code). */
  dataBytes: 16 * 1024 * 1024,
  /** Transactions, and receipts, of a block: 21,000 gas each at a gas limit of 420 million. */
  transactions: 20_000,
  /** Logs of a block, and of an answer: 375 gas each at least. */
  logs: 200_000,
  /** Entries of an access list, keys of an entry, authorizations, blob hashes. */
  listItems: 20_000,
  /** Bytes of all transactions, or all receipts, of a block as they are hashed. */
  blockBytes: 64 * 1024 * 1024,
} as const
