/**
 * Writes vectors/*.json: what a real node (anvil) answers about blocks with every kind of transaction, by fork.
 * Run by hand, `node shared/src/proofs/testing/makeVectors.ts`; the tests only read the files.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { createWalletClient, type Hex, http, pad, toHex } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { anvil as chain } from 'viem/chains'

/** Stores word 1 of its input at the slot of word 0 and logs both: LOG2(word 1; word 0, caller). */
const storeAndLog = '602035600035556020356000523360003560206000a200'
const initCode = `0x76${storeAndLog}60005260176009f3` as const
const account = privateKeyToAccount('0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80')
/** keccak of this slot and of slot 5 begin with the same three digits: alone in a trie they make an extension node. */
const besideFive = 1252
/** Delegates to the contract (EIP-7702). */
const delegate = privateKeyToAccount('0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d')
const receiver = `0x${'22'.repeat(20)}` as const
const absent = `0x${'33'.repeat(20)}` as const
/** The commitment and proofs of a blob of zeros are the point at infinity (EIP-4844). */
const infinity = `0xc0${'00'.repeat(47)}` as const

type Rpc = (method: string, params?: readonly unknown[]) => Promise<unknown>
type Client = ReturnType<typeof clientOf>

for (const fork of ['berlin', 'london', 'shanghai', 'cancun', 'prague']) {
  const { node, url } = await startAnvil(fork)
  try {
    const client = clientOf(url)
    const rpc: Rpc = (method, params = []) => client.request({ method, params } as never)
    const vectors = fork === 'prague' ? await full(client, rpc) : await plain(client, rpc)
    const file = new URL(`./vectors/${fork}.json`, import.meta.url)
    writeFileSync(fileURLToPath(file), `${JSON.stringify({ origin: `anvil 1.7.1, --hardfork ${fork}`, ...vectors })}\n`)
  } finally {
    node.kill()
  }
}

/** One block with a contract's creation and a transfer. */
async function plain(client: Client, rpc: Rpc): Promise<object> {
  await client.sendTransaction({ type: 'legacy', gasPrice: 3_000_000_000n, gas: 100_000n, nonce: 0, data: initCode })
  await client.sendTransaction({ type: 'legacy', gasPrice: 3_000_000_000n, gas: 21_000n, nonce: 1, to: receiver })
  await rpc('evm_mine')
  return { blocks: [await blockAt(rpc, 1)] }
}

/**
 * Four blocks: one that makes a contract; one with all types but blobs; one with a blob (by itself, as anvil 1.7.1 hashes
 * its sidecar into the transactions' root, which no chain does); one that changes state, so that the second is an old one.
 */
async function full(client: Client, rpc: Rpc): Promise<object> {
  const gasPrice = 3_000_000_000n
  const fees = { maxFeePerGas: 4_000_000_000n, maxPriorityFeePerGas: 1_000_000_000n, gas: 100_000n }
  await client.sendTransaction({ type: 'legacy', gasPrice, gas: 100_000n, nonce: 0, data: initCode })
  await rpc('evm_mine')
  const contract = ((await receiptsAt(rpc, 1)) as { contractAddress: Hex }[])[0]?.contractAddress as Hex
  const store = (slot: number, value: bigint) => ({ to: contract, data: callData(slot, value) })

  let nonce = 1
  await client.sendTransaction({ type: 'legacy', gasPrice, gas: 100_000n, nonce: nonce++, ...store(1, 42n) })
  const accessList = [{ address: contract, storageKeys: [pad('0x02'), pad('0x03')] }]
  await client.sendTransaction({
    type: 'eip2930',
    gasPrice,
    gas: 100_000n,
    nonce: nonce++,
    accessList,
    ...store(2, 2n ** 255n),
  })
  await client.sendTransaction({ type: 'eip1559', ...fees, nonce: nonce++, ...store(0, 1n) })
  // Too little gas: a receipt with status 0 and no logs.
  await client.sendTransaction({ type: 'eip1559', ...fees, gas: 30_000n, nonce: nonce++, ...store(4, 4n) })
  const authorization = await client.signAuthorization({ account: delegate, contractAddress: contract, nonce: 0 })
  await client.sendTransaction({
    type: 'eip7702',
    ...fees,
    nonce: nonce++,
    authorizationList: [authorization],
    to: delegate.address,
    data: callData(5, 5n),
  })
  await client.sendTransaction({
    type: 'eip1559',
    ...fees,
    nonce: nonce++,
    to: delegate.address,
    data: callData(besideFive, 6n),
  })
  await client.sendTransaction({ type: 'eip1559', ...fees, nonce: nonce++, to: receiver, value: 10n ** 18n })
  // Enough transactions for a trie of two levels, and logs for a filter to choose from.
  for (let slot = 16; slot < 28; slot++) {
    await client.sendTransaction({ type: 'eip1559', ...fees, nonce: nonce++, ...store(slot, BigInt(slot)) })
  }
  await rpc('evm_mine')
  await rpc('eth_sendRawTransaction', [await blobTransaction(nonce++)])
  await rpc('evm_mine')
  await client.sendTransaction({ type: 'eip1559', ...fees, nonce: nonce++, ...store(1, 43n) })
  await client.sendTransaction({ type: 'eip1559', ...fees, nonce: nonce++, to: receiver, value: 10n ** 18n })
  await rpc('evm_mine')

  const slots = ['0x0', '0x1', '0x2', '0x7'].map((slot) => pad(slot as Hex))
  const proofs = []
  for (const number of [2, 4]) {
    for (const [address, keys] of [
      [account.address, []],
      [delegate.address, [pad('0x5'), toHex(besideFive, { size: 32 }), pad('0xb')]],
      [receiver, [pad('0x0')]],
      [contract, slots],
      [absent, [pad('0x0')]],
    ] as const) {
      const answer = await rpc('eth_getProof', [address, keys, toHex(number)])
      proofs.push({ block: number, address: address.toLowerCase(), slots: keys, answer })
    }
  }
  const logs = (address: Hex, topics: unknown[]) =>
    rpc('eth_getLogs', [{ fromBlock: '0x2', toBlock: '0x2', address, topics }])
  return {
    blocks: [await blockAt(rpc, 1), await blockAt(rpc, 2), await blockAt(rpc, 3), await blockAt(rpc, 4)],
    proofs,
    code: { address: contract, block: 2, answer: await rpc('eth_getCode', [contract, '0x2']) },
    logs: [
      { filter: { address: contract }, answer: await logs(contract, []) },
      {
        filter: { address: contract, topics: [[pad('0x1'), pad('0x10')], pad(account.address)] },
        answer: await logs(contract, [[pad('0x1'), pad('0x10')], pad(account.address)]),
      },
      { filter: { address: absent }, answer: await logs(absent, []) },
    ],
  }
}

async function blobTransaction(nonce: number): Promise<Hex> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', Buffer.from(infinity.slice(2), 'hex')))
  digest[0] = 1
  return account.signTransaction({
    type: 'eip4844',
    chainId: chain.id,
    nonce,
    gas: 100_000n,
    maxFeePerGas: 4_000_000_000n,
    maxPriorityFeePerGas: 1_000_000_000n,
    maxFeePerBlobGas: 1_000_000_000n,
    to: receiver,
    blobVersionedHashes: [toHex(digest)],
    sidecars: [{ blob: `0x${'00'.repeat(131_072)}`, commitment: infinity, proof: infinity }],
  })
}

async function blockAt(rpc: Rpc, number: number): Promise<object> {
  const block = (await rpc('eth_getBlockByNumber', [toHex(number), true])) as { transactions: { blobs?: unknown }[] }
  // Only anvil shows them, and they are large.
  for (const transaction of block.transactions) delete transaction.blobs
  return { block, receipts: await receiptsAt(rpc, number) }
}

function receiptsAt(rpc: Rpc, number: number): Promise<unknown> {
  return rpc('eth_getBlockReceipts', [toHex(number)])
}

function callData(slot: number, value: bigint): Hex {
  return `${toHex(slot, { size: 32 })}${toHex(value, { size: 32 }).slice(2)}`
}

function clientOf(url: string) {
  return createWalletClient({ account, chain, transport: http(url) })
}

async function startAnvil(fork: string): Promise<{ node: ChildProcess; url: string }> {
  const anvil = new URL('../../../../node_modules/.bin/anvil', import.meta.url)
  const node = spawn(fileURLToPath(anvil), [
    '--port',
    '0',
    '--no-mining',
    '--hardfork',
    fork,
    '--timestamp',
    '1700000000',
  ])
  for await (const line of createInterface({ input: node.stdout })) {
    const [, address] = /Listening on (\S+)/.exec(line) ?? []
    if (address !== undefined) return { node, url: `http://${address}` }
  }
  const [code] = await once(node, 'exit')
  throw new Error(`anvil ended with ${code}`)
}
