import { hash } from 'node:crypto'
import type { Instant } from '../schemas/index.ts'
import { isSignedBy, type SigningKey } from './keys.ts'
import { logForm } from './record.ts'

/** What a writer says of one of its logs at a moment. */
export interface Checkpoint {
  readonly writer: string
  readonly log: string
  /** Records in the log. */
  readonly size: number
  /** Root of the Merkle tree over them, and hash of the last; 32 bytes. */
  readonly root: Buffer
  readonly head: Buffer
  readonly at: Instant
}

/** A {@link Checkpoint} as it was read, and what to verify of it. */
export interface SignedCheckpoint extends Checkpoint {
  /** What is signed. */
  readonly body: Buffer
  readonly signatures: readonly { readonly name: string; readonly keyId: string; readonly signature: Buffer }[]
}

const longest = 10_000

/** Name of a log, and of its key: no space and no plus may be in it. */
export function originOf(writer: string, log: string): string {
  return `cordon-audit/${encodeURIComponent(writer)}/${log}`
}

/** First four bytes of SHA-256 of name, newline, algorithm (1: Ed25519) and key; hex. */
function keyIdOf(name: string, publicKey: string): string {
  return hash('sha256', Buffer.concat([Buffer.from(`${name}\n\u0001`), Buffer.from(publicKey, 'base64')]), 'hex').slice(0, 8)
}

/** A verifier key as tools for signed notes take it: `name+id+key`. */
export function verifierKey(writer: string, log: string, publicKey: string): string {
  const name = originOf(writer, log)
  const key = Buffer.concat([Buffer.of(1), Buffer.from(publicKey, 'base64')]).toString('base64')
  return `${name}+${keyIdOf(name, publicKey)}+${key}`
}

/**
 * A checkpoint as C2SP tlog-checkpoint has it, in a signed note (C2SP signed-note, Ed25519): origin, size, root; then, as
 * extension lines, the hash of the last record and the time in milliseconds; an empty line; a signature.
 */
export function signCheckpoint({ writer, log, size, root, head, at }: Checkpoint, key: SigningKey): string {
  const name = originOf(writer, log)
  const body = `${name}\n${size}\n${root.toString('base64')}\nhead ${head.toString('base64')}\ntime ${at}\n`
  const signature = Buffer.concat([Buffer.from(keyIdOf(name, key.publicKey), 'hex'), key.sign(Buffer.from(body))])
  return `${body}\n\u2014 ${name} ${signature.toString('base64')}\n`
}

const form =
  /^cordon-audit\/([^\s+/]{1,512})\/([0-9a-f]{20})\n(0|[1-9]\d{0,14})\n([A-Za-z0-9+/]{43}=)\nhead ([A-Za-z0-9+/]{43}=)\ntime (0|[1-9]\d{0,15})\n$/
const signatureForm = /^\u2014 ([^\s+]{1,600}) ([A-Za-z0-9+/]{8,600}={0,2})$/

/** Undefined where the text is no checkpoint of ours; whether its signature holds is {@link isCheckpointSignedBy}'s to say. */
export function readCheckpoint(text: string): SignedCheckpoint | undefined {
  const end = text.indexOf('\n\n')
  if (text.length > longest || end < 0 || !text.endsWith('\n')) return undefined
  const body = text.slice(0, end + 1)
  const match = form.exec(body)
  if (match === null) return undefined
  const [, name = '', log = '', size = '', root = '', head = '', at = ''] = match
  const signatures = text
    .slice(end + 2, -1)
    .split('\n')
    .map(readSignature)
  const writer = decoded(name)
  if (writer === undefined || !logForm.test(log) || signatures.some((one) => one === undefined)) return undefined
  return {
    ...{ writer, log, size: Number(size), at: Number(at) },
    ...{ root: Buffer.from(root, 'base64'), head: Buffer.from(head, 'base64') },
    body: Buffer.from(body),
    signatures: signatures.flatMap((one) => (one === undefined ? [] : [one])),
  }
}

export function isCheckpointSignedBy(checkpoint: SignedCheckpoint, publicKey: string): boolean {
  const name = originOf(checkpoint.writer, checkpoint.log)
  const keyId = keyIdOf(name, publicKey)
  return checkpoint.signatures.some(
    (one) => one.name === name && one.keyId === keyId && isSignedBy(publicKey, checkpoint.body, one.signature),
  )
}

function readSignature(line: string) {
  const [, name, encoded] = signatureForm.exec(line) ?? []
  if (name === undefined || encoded === undefined) return undefined
  const bytes = Buffer.from(encoded, 'base64')
  // One text for each signature: else a bit of padding could be flipped unseen.
  if (bytes.length !== 68 || bytes.toString('base64') !== encoded) return undefined
  return { name, keyId: bytes.toString('hex', 0, 4), signature: bytes.subarray(4) }
}

function decoded(name: string): string | undefined {
  try {
    const writer = decodeURIComponent(name)
    return encodeURIComponent(writer) === name ? writer : undefined
  } catch {
    return undefined
  }
}
