import { createCipheriv, createHmac } from 'node:crypto'

/**
 * Deterministic random numbers from a secret: ChaCha20 under a key derived for one purpose, so that nobody
 * without the secret can predict a projection, and every node with it computes the same one.
 */
export interface Keystream {
  /** Uniform in [0, 2^32). */
  uint32(): number
  /** Standard normal (Box and Muller). */
  normal(): number
}

/** 32 bytes that are independent for each purpose. */
export function deriveKey(secret: Uint8Array, purpose: string): Uint8Array {
  return createHmac('sha256', secret).update(`cordon fingerprint\0${purpose}`).digest()
}

export function keystream(secret: Uint8Array, purpose: string): Keystream {
  const cipher = createCipheriv('chacha20', deriveKey(secret, purpose), new Uint8Array(16))
  const zeros = new Uint8Array(4_096)
  let block = cipher.update(zeros)
  let at = 0
  const uint32 = () => {
    if (at === block.length) {
      block = cipher.update(zeros)
      at = 0
    }
    at += 4
    return block.readUInt32LE(at - 4)
  }
  const normal = () => Math.sqrt(-2 * Math.log((uint32() + 1) / 2 ** 32)) * Math.cos((2 * Math.PI * uint32()) / 2 ** 32)
  return { uint32, normal }
}

/** Tells secrets apart, and reveals nothing of them: 16 hex digits. Fingerprints of nodes where it differs cannot be compared. */
export function fingerprintKeyId(secret: Uint8Array): string {
  return Buffer.from(deriveKey(secret, 'key id')).toString('hex').slice(0, 16)
}
