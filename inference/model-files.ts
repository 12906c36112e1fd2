import { createHash, timingSafeEqual } from 'node:crypto'
import { readFile, realpath, stat } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { InferenceError } from './errors.ts'
import type { Manifest, ModelFile } from './manifest.ts'

/** What a version's manifest says that its files are. */
export interface ModelFiles {
  readonly topology: ModelFile | null
  readonly weights: readonly ModelFile[]
  /** Of a SavedModel, by name. */
  readonly saved: readonly ModelFile[]
  readonly profile: ModelFile | null
}

export function filesOf({ files }: Manifest): ModelFiles {
  const weights = 'weights' in files ? files.weights : []
  return {
    topology: 'topology' in files ? files.topology : null,
    weights: Array.isArray(weights) ? weights : [weights],
    saved: 'saved' in files ? files.saved.toSorted((a, b) => (a.path < b.path ? -1 : 1)) : [],
    profile: files.profile ?? null,
  }
}

/** Of weights and topology, `sha256:…`; null for a version that has neither, since it runs elsewhere. */
export function digestOf({ topology, weights, saved }: ModelFiles): string | null {
  const lines = [
    ...(topology === null ? [] : [`topology ${topology.sha256}`]),
    ...weights.map((file) => `weights ${file.sha256}`),
    ...saved.map((file) => `${file.path} ${file.sha256}`),
  ]
  if (lines.length === 0) return null
  return `sha256:${sha256(Buffer.from(`${lines.join('\n')}\n`)).toString('hex')}`
}

/** Reads a file and compares it with its manifest; the bytes returned are the bytes compared. Throws `MODEL_CORRUPT`. */
export async function readVerified(root: string, folder: string, file: ModelFile): Promise<Uint8Array<ArrayBuffer>> {
  const path = join(folder, file.path)
  const bytes = await readBounded(root, path, file.bytes)
  if (bytes.length !== file.bytes || !timingSafeEqual(sha256(bytes), Buffer.from(file.sha256, 'hex'))) {
    throw new InferenceError('MODEL_CORRUPT', `${path} is not what its manifest says: restore it`)
  }
  return bytes
}

/** Reads a file of at most `most` bytes that lies, with links followed, under the models directory. Throws `MODEL_CORRUPT`. */
export async function readBounded(root: string, path: string, most: number): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const real = await realpath(path)
    if (!real.startsWith(root + sep)) throw new Error(`it is a link out of ${root}`)
    const { size } = await stat(real)
    if (size > most) throw new Error(`it has ${size} bytes, more than ${most}`)
    return await readFile(real)
  } catch (cause) {
    throw new InferenceError('MODEL_CORRUPT', `Reading ${path} failed: ${cause instanceof Error ? cause.message : 'unknown'}`, { cause })
  }
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}
