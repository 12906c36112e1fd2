import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { CliError } from '../errors.ts'
import { writeAtomically } from './atomic-file.ts'

export interface Secrets {
  /** Bearer token of the console's API. */
  readonly token: string
  /** HMAC key that pseudonymises addresses. */
  readonly addressKey: Uint8Array
  /** Key of the fingerprints, and how often it was rotated. */
  readonly fingerprintKey: Uint8Array
  readonly fingerprintEpoch: number
}

/** Least characters of a token (ours have 43): less is a torn or emptied file, and an empty token would let everybody in. */
const tokenLength = 32

const Key32 = z.base64().refine((text) => Buffer.from(text, 'base64').length === 32, 'a key is 32 bytes')
const Kept = z.object({ addressKey: Key32, fingerprintKey: Key32, fingerprintEpoch: z.int().min(0) })

/**
 * The instance's secrets, made at its first start; readable by their owner alone.
 *
 * @throws CliError `START_FAILED` when they are there but unreadable: making new ones would orphan what is on the log
 */
export function openSecrets(dataDir: string): Secrets {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const tokenFile = join(dataDir, 'token')
  const file = join(dataDir, 'secrets.json')
  try {
    if (!existsSync(file)) {
      const made = { addressKey: fresh(), fingerprintKey: fresh(), fingerprintEpoch: 0 }
      writeAtomically(file, JSON.stringify(made))
    }
    if (!existsSync(tokenFile)) writeAtomically(tokenFile, `${randomBytes(32).toString('base64url')}\n`)
    const kept = Kept.parse(JSON.parse(readFileSync(file, 'utf8')))
    const token = readFileSync(tokenFile, 'utf8').trim()
    if (token.length < tokenLength) throw new Error(`the token is shorter than ${tokenLength} characters; delete it, and a new one is made`)
    return {
      token,
      addressKey: Buffer.from(kept.addressKey, 'base64'),
      fingerprintKey: Buffer.from(kept.fingerprintKey, 'base64'),
      fingerprintEpoch: kept.fingerprintEpoch,
    }
  } catch (cause) {
    throw new CliError('START_FAILED', `reading the secrets in ${dataDir}: ${(cause as Error).message}`, { cause })
  }
}

function fresh(): string {
  return randomBytes(32).toString('base64')
}
