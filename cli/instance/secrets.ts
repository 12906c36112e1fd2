import { hkdfSync, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { Config } from '../config/schema.ts'
import { CliError } from '../errors.ts'
import { writeAtomically } from './atomic-file.ts'

/** What a node needs. The same on every node: fingerprints under different keys cannot be compared. */
export interface NodeSecrets {
  /** HMAC key that pseudonymises addresses. */
  readonly addressKey: Uint8Array
  /** Key of the fingerprints, and how often it was rotated. */
  readonly fingerprintKey: Uint8Array
  readonly fingerprintEpoch: number
  /** From which the keys are derived that sign access tokens. */
  readonly tokenKey: Uint8Array
}

/** Least characters of a token (ours have 43): less is a torn or emptied file, and an empty token would let everybody in. */
const tokenLength = 32

const Key32 = z.base64().refine((text) => Buffer.from(text, 'base64').length === 32, 'a key is 32 bytes')
const NodeKept = z.object({ addressKey: Key32, fingerprintKey: Key32, fingerprintEpoch: z.int().min(0), tokenKey: Key32.optional() })
const TokenKept = z.object({ token: z.string().min(tokenLength) })

/**
 * The nodes' secrets: of `secretsFile`, or made under the data directory at the first start; readable by their owner alone.
 *
 * @throws CliError `START_FAILED` when they are there but unreadable: making new ones would orphan what is on the log
 */
export function openNodeSecrets({ dataDir, secretsFile }: Config): NodeSecrets {
  const file = secretsFile ?? join(dataDir, 'secrets.json')
  return reading(file, () => {
    if (secretsFile === null && !existsSync(file)) {
      mkdirSync(dataDir, { recursive: true, mode: 0o700 })
      writeAtomically(file, JSON.stringify(freshNodeSecrets()))
    }
    const kept = NodeKept.parse(JSON.parse(readFileSync(file, 'utf8')))
    const addressKey = Buffer.from(kept.addressKey, 'base64')
    return {
      addressKey,
      // Files from before there were tokens: the same on every node all the same, and nothing that tells the other.
      tokenKey:
        kept.tokenKey === undefined
          ? new Uint8Array(hkdfSync('sha256', addressKey, '', 'cordon/token-key/1', 32))
          : Buffer.from(kept.tokenKey, 'base64'),
      fingerprintKey: Buffer.from(kept.fingerprintKey, 'base64'),
      fingerprintEpoch: kept.fingerprintEpoch,
    }
  })
}

/**
 * Bearer token of the API: of `secretsFile` where that has one, or made under the data directory at the first start.
 *
 * @throws CliError `START_FAILED`
 */
export function openToken({ dataDir, secretsFile }: Config): string {
  const file = secretsFile ?? join(dataDir, 'token')
  return reading(file, () => {
    if (secretsFile !== null) return TokenKept.parse(JSON.parse(readFileSync(secretsFile, 'utf8'))).token
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    if (!existsSync(file)) writeAtomically(file, `${freshToken()}\n`)
    const token = readFileSync(file, 'utf8').trim()
    if (token.length < tokenLength) throw new Error(`the token is shorter than ${tokenLength} characters; delete it, and a new one is made`)
    return token
  })
}

/** New secrets for the processes of a deployment: one file for nodes, one for `ingest` and `console`. */
export function writeSecrets(dir: string): { readonly node: string; readonly api: string } {
  const files = { node: join(dir, 'node.json'), api: join(dir, 'api.json') }
  for (const file of Object.values(files)) {
    if (existsSync(file))
      throw new CliError('USAGE', `${file} is there already: other processes may use it. Delete it first, or name another folder.`)
  }
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  writeAtomically(files.node, JSON.stringify(freshNodeSecrets()))
  writeAtomically(files.api, JSON.stringify({ token: freshToken() }))
  return files
}

/**
 * A new key of fingerprints in a node's file, one epoch on; the others stay.
 *
 * @throws CliError `START_FAILED` where it is no such file
 */
export function rotateFingerprintKey(file: string): { readonly file: string; readonly epoch: number } {
  const kept = reading(file, () => NodeKept.parse(JSON.parse(readFileSync(file, 'utf8'))))
  const epoch = kept.fingerprintEpoch + 1
  writeAtomically(file, JSON.stringify({ ...kept, fingerprintKey: fresh(), fingerprintEpoch: epoch }))
  return { file, epoch }
}

function reading<T>(file: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    // What could not be parsed is quoted in the error of who tried: a bit of a secret, on its way to a log.
    if (cause instanceof SyntaxError) throw unreadable(file, 'it is no JSON as `cordon secrets create` writes it')
    throw unreadable(file, cause instanceof z.ZodError ? z.prettifyError(cause) : (cause as Error).message, cause)
  }
}

function unreadable(file: string, why: string, cause?: unknown): CliError {
  return new CliError('START_FAILED', `reading the secrets in ${file}: ${why}`, { cause })
}

function freshNodeSecrets() {
  return { addressKey: fresh(), fingerprintKey: fresh(), fingerprintEpoch: 0, tokenKey: fresh() }
}

function freshToken(): string {
  return randomBytes(32).toString('base64url')
}

function fresh(): string {
  return randomBytes(32).toString('base64')
}
