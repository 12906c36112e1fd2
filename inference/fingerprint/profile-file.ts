import { createHash } from 'node:crypto'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { Manifest } from '../manifest.ts'
import { decodeProfile, type ReferenceProfile } from './profile.ts'

/**
 * Puts a reference profile beside a version's weights, and into its manifest: a profile that is not what the manifest says is
 * refused, since a changed one could blind the detectors.
 *
 * @param folder of the version
 * @returns the profile, read back, so that one that cannot be read fails here and not in a node
 */
export function writeProfile(folder: string, bytes: Uint8Array): ReferenceProfile {
  const profile = decodeProfile(bytes)
  writeFileSync(join(folder, 'profile.bin'), bytes)
  const file = join(folder, 'manifest.json')
  const written: unknown = JSON.parse(readFileSync(file, 'utf8'))
  const { files } = Manifest.parse(written)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const changed = { ...files, profile: { path: 'profile.bin', bytes: bytes.length, sha256 } }
  // What was parsed has its keys in the schema's order: the same profile leaves the file byte for byte.
  const manifest = { ...z.record(z.string(), z.unknown()).parse(written), files: changed }
  writeFileSync(`${file}.new`, `${JSON.stringify(manifest, null, 2)}\n`)
  renameSync(`${file}.new`, file)
  return profile
}
