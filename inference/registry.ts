import { readdir, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Name } from '../schemas/index.ts'
import { InferenceError } from './errors.ts'
import { Manifest } from './manifest.ts'
import { digestOf, filesOf, type ModelFiles, readBounded, readVerified } from './model-files.ts'
import type { ModelInfo } from './port.ts'

/** Most models in a directory, versions of a model, and bytes of a manifest. */
const limits = { models: 256, versions: 256, manifestBytes: 1_048_576 }

export interface ModelContent {
  /** tfjs layers or graph format, JSON; null where the platform has none. */
  readonly topology: Uint8Array | null
  /** As one, little-endian, in the order of the topology's weights manifest. */
  readonly weights: Uint8Array<ArrayBuffer>
  /** Files of a SavedModel: its own, and those of its folders. */
  readonly saved: readonly { readonly path: string; readonly bytes: Uint8Array }[]
  /** The signature that a SavedModel is asked by; null on other platforms. */
  readonly signature: string | null
  /** Reference profile for fingerprints; null where the version has none. */
  readonly profile: Uint8Array | null
}

/** The models of a directory: `<modelsDir>/<name>/<version>/manifest.json` and the files that it names. */
export interface ModelRegistry {
  /** By name, versions in natural order (2 before 10). Those of `upstream` run elsewhere: they are described here, and never loaded. */
  list(): readonly ModelInfo[]
  info(model: string, version: string): ModelInfo | undefined
  /** Bytes of a version's weights on disk; 0 for what runs elsewhere, or is not there. */
  weightBytes(model: string, version: string): number
  /**
   * Reads a version's files and compares them with the manifest; the bytes returned are the bytes compared.
   * Throws `MODEL_NOT_FOUND`, `MODEL_CORRUPT`.
   */
  read(model: string, version: string): Promise<ModelContent>
  /** The reference profile alone, as `read` has it. Throws `MODEL_NOT_FOUND`, `MODEL_CORRUPT`. */
  readProfile(model: string, version: string): Promise<Uint8Array | null>
}

interface Entry {
  readonly info: ModelInfo
  readonly files: ModelFiles
  readonly signature: string | null
  readonly folder: string
}

/** Finds every model and reads its manifest. Throws `MODEL_NOT_FOUND` without any, `MODEL_CORRUPT`. */
export async function openRegistry(modelsDir: string): Promise<ModelRegistry> {
  const root = await openRoot(modelsDir)
  const entries = new Map<string, Entry>()
  for (const name of await folders(root, limits.models)) {
    for (const version of await folders(join(root, name), limits.versions)) {
      entries.set(keyOf(name, version), await readEntry(root, name, version))
    }
  }
  if (entries.size === 0) throw new InferenceError('MODEL_NOT_FOUND', `There is no model in ${modelsDir}: run \`npm run train\``)
  const infos = [...entries.values()].map((entry) => entry.info)
  const find = (model: string, version: string) => {
    const entry = entries.get(keyOf(model, version))
    if (!entry) throw new InferenceError('MODEL_NOT_FOUND', `There is no version ${version} of a model ${model}`)
    return entry
  }
  return {
    list: () => infos,
    info: (model, version) => entries.get(keyOf(model, version))?.info,
    weightBytes: (model, version) => weightBytes(entries.get(keyOf(model, version))),
    read: async (model, version) => readContent(root, find(model, version)),
    readProfile: async (model, version) => {
      const { folder, files } = find(model, version)
      return files.profile === null ? null : readVerified(root, folder, files.profile)
    },
  }
}

/**
 * One version's files, without looking at the other models.
 *
 * @param digest that the version had when the registry was opened: throws `MODEL_CORRUPT` where it has changed since
 */
export async function readVersion(modelsDir: string, model: string, version: string, digest: string | null): Promise<ModelContent> {
  const root = await openRoot(modelsDir)
  const entry = await readEntry(root, model, version)
  if (entry.info.digest !== digest) {
    throw new InferenceError('MODEL_CORRUPT', `The manifest of ${model} ${version} changed after the start: start again, or restore it`)
  }
  return readContent(root, entry)
}

async function openRoot(modelsDir: string): Promise<string> {
  return realpath(modelsDir).catch((cause) => {
    throw new InferenceError('MODEL_NOT_FOUND', `Opening the models directory ${modelsDir} failed: does it exist?`, { cause })
  })
}

async function readContent(root: string, { folder, files, signature }: Entry): Promise<ModelContent> {
  const { topology, weights, saved, profile } = files
  const parts: Uint8Array<ArrayBuffer>[] = []
  for (const file of weights) parts.push(await readVerified(root, folder, file))
  const savedFiles: { path: string; bytes: Uint8Array }[] = []
  for (const file of saved) savedFiles.push({ path: file.path, bytes: await readVerified(root, folder, file) })
  return {
    topology: topology === null ? null : await readVerified(root, folder, topology),
    weights: parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts),
    saved: savedFiles,
    signature,
    profile: profile === null ? null : await readVerified(root, folder, profile),
  }
}

function weightBytes(entry: Entry | undefined): number {
  return [...(entry?.files.weights ?? []), ...(entry?.files.saved ?? [])].reduce((sum, { bytes }) => sum + bytes, 0)
}

// A name holds no slash, so the key is unambiguous and looking one up can reach no file outside.
function keyOf(model: string, version: string): string {
  return `${model}/${version}`
}

/** Names of folders that a model or a version may have; others (such as a mount's `..data`) are none of ours. */
async function folders(parent: string, most: number): Promise<string[]> {
  const found: string[] = []
  for (const name of await readdir(parent)) {
    if (Name.safeParse(name).success && (await stat(join(parent, name))).isDirectory()) found.push(name)
  }
  if (found.length > most) throw new InferenceError('MODEL_CORRUPT', `${parent} has ${found.length} folders, more than ${most}`)
  return found.sort(new Intl.Collator('en', { numeric: true }).compare)
}

async function readEntry(root: string, name: string, version: string): Promise<Entry> {
  const folder = join(root, name, version)
  const bytes = await readBounded(root, join(folder, 'manifest.json'), limits.manifestBytes)
  const manifest = parseManifest(bytes, folder)
  if (manifest.name !== name || manifest.version !== version) {
    throw new InferenceError('MODEL_CORRUPT', `The manifest in ${folder} is that of ${manifest.name} ${manifest.version}`)
  }
  const files = filesOf(manifest)
  return { info: infoOf(manifest, files), files, signature: 'signature' in manifest ? manifest.signature : null, folder }
}

function infoOf(manifest: Manifest, files: ModelFiles): ModelInfo {
  const { name, version, platform, range, outputs, labels } = manifest
  return {
    name,
    version,
    platform,
    operations: platform === 'cordon-language' ? ['chat', 'completion', 'embedding'] : ['infer'],
    inputs: manifest.inputs.map((spec) => (spec.range === undefined && range !== undefined ? { ...spec, range } : spec)),
    outputs,
    labels,
    digest: digestOf(files),
  }
}

function parseManifest(bytes: Uint8Array, folder: string): Manifest {
  try {
    return Manifest.parse(JSON.parse(Buffer.from(bytes).toString('utf8')))
  } catch (cause) {
    throw new InferenceError('MODEL_CORRUPT', `The manifest in ${folder} is invalid`, { cause })
  }
}
