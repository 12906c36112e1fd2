import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto'
import { AuditError } from './errors.ts'

/** An Ed25519 key that signs checkpoints. */
export interface SigningKey {
  /** 32 bytes as base64. */
  readonly publicKey: string
  sign(message: Buffer): Buffer
}

/** A new key, as PEM (PKCS #8). */
export function newSigningKey(): string {
  const { privateKey } = generateKeyPairSync('ed25519')
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

/** @throws AuditError `AUDIT_UNREADABLE`; what was read is not in the message */
export function readSigningKey(pem: string): SigningKey {
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch {
    throw new AuditError('AUDIT_UNREADABLE', 'Reading a key of the audit trail: it is no private key as PEM.')
  }
  if (key.asymmetricKeyType !== 'ed25519') throw new AuditError('AUDIT_UNREADABLE', 'Reading a key of the audit trail: it is not Ed25519.')
  return { publicKey: rawOf(createPublicKey(key)), sign: (message) => sign(null, message, key) }
}

/** 32 bytes as base64, of PEM (SPKI) or of a verifier key of signed notes (`name+id+key`); to check with. @throws AuditError `AUDIT_UNREADABLE` */
export function readPublicKey(text: string): string {
  const trimmed = text.trim()
  const bytes = Buffer.from(trimmed.split('+').slice(2).join('+'), 'base64')
  if (!trimmed.startsWith('-----') && bytes.length === 33 && bytes[0] === 1) return bytes.toString('base64', 1)
  try {
    const key = createPublicKey(trimmed)
    if (key.asymmetricKeyType === 'ed25519') return rawOf(key)
  } catch {
    // Said below.
  }
  throw new AuditError(
    'AUDIT_UNREADABLE',
    'Reading a public key: give an Ed25519 key as PEM, or a verifier key (name+id+key), as `cordon audit keys` prints them.',
  )
}

export function publicKeyPem(publicKey: string): string {
  return keyObject(publicKey).export({ type: 'spki', format: 'pem' }).toString()
}

/** False for whatever is no key or no signature, too. */
export function isSignedBy(publicKey: string, message: Buffer, signature: Buffer): boolean {
  try {
    return verify(null, message, keyObject(publicKey), signature)
  } catch {
    return false
  }
}

function keyObject(publicKey: string): KeyObject {
  const x = Buffer.from(publicKey, 'base64').toString('base64url')
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
}

function rawOf(key: KeyObject): string {
  return Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url').toString('base64')
}
