/** Crypto with the randomness, or the work, taken out. For tests only: neither keeps a secret. */
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import { concat, equalBytes, u32, utf8 } from '../bytes/index.ts'
import { type Aead, type Crypto, size } from '../crypto/index.ts'
import { nobleCrypto } from '../crypto/noble.ts'

/** noble's, with every random byte drawn from `seed`: two instances of one seed do exactly the same. */
export function seededCrypto(seed: string): Crypto {
  let drawn = 0

  function randomBytes(length: number): Uint8Array {
    const blocks: Uint8Array[] = []
    for (let have = 0; have < length; have += size.hash) {
      blocks.push(nobleCrypto.hash.sha256(concat(utf8(seed), u32(drawn))))
      drawn += 1
    }
    return concat(...blocks).slice(0, length)
  }

  return {
    ...nobleCrypto,
    name: 'seeded',
    dh: { ...nobleCrypto.dh, generate: () => nobleCrypto.dh.fromSecret(randomBytes(size.key)) },
    kem: {
      ...nobleCrypto.kem,
      generate: () => nobleCrypto.kem.fromSeed(randomBytes(size.kemSeed)),
      encapsulate(publicKey) {
        const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey, randomBytes(32))
        return { ciphertext: cipherText, secret: sharedSecret }
      },
    },
    randomBytes,
  }
}

/** No cipher at all: the tag is the key's first four bytes and the nonce, and the data stays as it is. */
export const cheapAead: Aead = {
  seal(key, nonce, _associated, _data, tag) {
    tag.set(key.subarray(0, 4))
    tag.set(nonce, 4)
  },
  open(key, nonce, _associated, _data, tag) {
    return equalBytes(tag.subarray(0, 4), key.subarray(0, 4)) && equalBytes(tag.subarray(4), nonce)
  },
}
