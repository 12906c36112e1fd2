import { createHash, timingSafeEqual } from 'node:crypto'
import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { Name } from '../schemas/index.ts'
import { InferenceError } from './errors.ts'
import { Manifest, type ModelFile } from './manifest.ts'
import type { ModelInfo } from './port.ts'

/** Most models in a directory, versions of a model, and bytes of a manifest. */
const limits = { models: 256, versions: 256, manifestBytes: 1_048_576 }

export interface ModelContent {
  /** tfjs layers format, JSON. */
  readonly topology: Uint8Array
  /** Little-endian float32, in the order of the topology's weights manifest. */
  readonly weights: Uint8Array
  /** Reference profile for fingerprints; null where the version has none. */
  readonly profile: Uint8Array | null
}

/** The models of a directory: `<modelsDir>/<name>/<version>/manifest.json` and the files that it names. */
export interface ModelRegistry {
  /** By name, versions in natural order (2 before 10). */
  list(): readonly ModelInfo[]
  info(model: string, version: string): ModelInfo | undefined
  /**
   * Reads a version's files and compares them with the manifest; the bytes returned are the bytes compared.
   * Throws `MODEL_NOT_FOUND`, `MODEL_CORRUPT`.
   */
  read(model: string, version: string): Promise<ModelContent>
}

interface Entry {
  readonly info: ModelInfo
  readonly manifest: Manifest
  readonly folder: string
}

/** Finds every model and reads its manifest. Throws `MODEL_NOT_FOUND` without any, `MODEL_CORRUPT`. */
export async function openRegistry(modelsDir: string): Promise<ModelRegistry> {
  const root = await realpath(modelsDir).catch((cause) => {
    throw new InferenceError('MODEL_NOT_FOUND', `Opening the models directory ${modelsDir} failed: does it exist?`, { cause })
  })
  const entries = new Map<string, Entry>()
  for (const name of await folders(root, limits.models)) {
    for (const version of await folders(join(root, name), limits.versions)) {
      entries.set(keyOf(name, version), await readEntry(root, name, version))
    }
  }
  if (entries.size === 0) throw new InferenceError('MODEL_NOT_FOUND', `There is no model in ${modelsDir}: run \`npm run train\``)
  const infos = [...entries.values()].map((entry) => entry.info)
  return {
    list: () => infos,
    info: (model, version) => entries.get(keyOf(model, version))?.info,
    read: async (model, version) => {
      const entry = entries.get(keyOf(model, version))
      if (!entry) throw new InferenceError('MODEL_NOT_FOUND', `There is no version ${version} of a model ${model}`)
      const { topology, weights, profile } = entry.manifest.files
      return {
        topology: await readVerified(root, entry, topology),
        weights: await readVerified(root, entry, weights),
        profile: profile === undefined ? null : await readVerified(root, entry, profile),
      }
    },
  }
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
  const { topology, weights } = manifest.files
  const info: ModelInfo = {
    name,
    version,
    platform: manifest.platform,
    operations: ['infer'],
    inputs: manifest.inputs.map((spec) => ({ ...spec, range: manifest.range })),
    outputs: manifest.outputs,
    labels: manifest.labels,
    digest: `sha256:${sha256(Buffer.from(`topology ${topology.sha256}\nweights ${weights.sha256}\n`)).toString('hex')}`,
  }
  return { info, manifest, folder }
}

function parseManifest(bytes: Uint8Array, folder: string): Manifest {
  try {
    return Manifest.parse(JSON.parse(Buffer.from(bytes).toString('utf8')))
  } catch (cause) {
    throw new InferenceError('MODEL_CORRUPT', `The manifest in ${folder} is invalid`, { cause })
  }
}

async function readVerified(root: string, { folder, info }: Entry, file: ModelFile): Promise<Uint8Array> {
  const bytes = await readBounded(root, join(folder, file.path), file.bytes)
  if (bytes.length !== file.bytes || !timingSafeEqual(sha256(bytes), Buffer.from(file.sha256, 'hex'))) {
    throw new InferenceError('MODEL_CORRUPT', `${file.path} of ${info.name} ${info.version} is not what its manifest says: restore it`)
  }
  return bytes
}

/** Reads a file of at most `most` bytes that lies, with links followed, under the models directory. */
async function readBounded(root: string, path: string, most: number): Promise<Uint8Array> {
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
