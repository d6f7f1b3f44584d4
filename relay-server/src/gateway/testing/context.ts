/** What gateways in tests do with clients' questions, unless the test is about it: they leave at once. */
export const passing = { batchWindow: 0, callLimits: { logBlocks: 10_000, callGas: 50_000_000 } }
