import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AuditError } from './errors.ts'
import { newSigningKey, publicKeyPem, readSigningKey, type SigningKey } from './keys.ts'

/** The key of a writer, on disk; and the one that is to follow it, where one was made. */
export interface KeyFile {
  readonly current: SigningKey
  readonly next: SigningKey | null
  /** The next one is the current one from now on. */
  take(): void
}

const name = 'key.pem'
const nextName = 'next-key.pem'
/** For whoever verifies: written beside the key, so that it need not be taken from a store's word. */
const publicName = 'public.pem'

/** Makes the directory and a key where there is none. @throws AuditError; what the file system throws */
export function openKeyFile(dir: string): KeyFile {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const path = join(dir, name)
  const nextPath = join(dir, nextName)
  if (!existsSync(path)) writeKey(path)
  let current = read(path)
  let next = existsSync(nextPath) ? read(nextPath) : null
  writeFileSync(join(dir, publicName), publicKeyPem(current.publicKey))
  return {
    get current() {
      return current
    },
    get next() {
      return next
    },
    take() {
      if (next === null) return
      renameSync(nextPath, path)
      current = next
      next = null
      writeFileSync(join(dir, publicName), publicKeyPem(current.publicKey))
    },
  }
}

/** Makes the key that the writer takes when it is started next. @throws AuditError `AUDIT_UNUSABLE` */
export function makeNextKey(dir: string): string {
  const path = join(dir, nextName)
  if (!existsSync(join(dir, name)))
    throw new AuditError('AUDIT_UNUSABLE', `There is no key in ${dir}: the writer makes its first by itself.`)
  if (existsSync(path)) throw new AuditError('AUDIT_UNUSABLE', `${path} is there already: restart the writer, which takes it.`)
  writeKey(path)
  return read(path).publicKey
}

function writeKey(path: string): void {
  const draft = `${path}.draft`
  const file = openSync(draft, 'w', 0o600)
  try {
    writeFileSync(file, newSigningKey())
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(draft, path)
}

function read(path: string): SigningKey {
  let pem: string
  try {
    if ((statSync(path).mode & 0o077) !== 0) throw new Error(`others may read it; chmod 600 ${path}`)
    pem = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new AuditError('AUDIT_UNUSABLE', `Reading the key of the audit trail, ${path}: ${(cause as Error).message}`, { cause })
  }
  return readSigningKey(pem)
}
