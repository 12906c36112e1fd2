import { z } from 'zod'
import type { Datatype, ModelInfo, TensorSpec } from '../port.ts'
import { ask } from './checks.ts'
import type { Endpoint } from './endpoint.ts'

/** Versions of one model that are asked about. */
const mostVersions = 16

const datatypes = [
  ...['BOOL', 'UINT8', 'UINT16', 'UINT32', 'UINT64', 'INT8', 'INT16', 'INT32', 'INT64', 'FP16', 'FP32', 'FP64', 'BYTES'],
] as const satisfies readonly Datatype[]

const Spec = z.object({
  name: z.string().min(1).max(128),
  datatype: z.enum(datatypes),
  shape: z.array(z.int().min(-1).max(0x7fffffff)).min(1).max(16),
})

/** A model's metadata in the Open Inference Protocol. KServe says null for `versions`, and no tensors of models that declare none. */
const Metadata = z.object({
  platform: z.string().max(128).nullish(),
  versions: z
    .array(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/))
    .max(256)
    .nullish(),
  inputs: z.array(Spec).max(64),
  outputs: z.array(Spec).max(64),
})
type Metadata = z.infer<typeof Metadata>

/** What an upstream says about one model. */
export interface Surveyed {
  /** Whether paths name versions there. */
  readonly versioned: boolean
  /** In natural order. */
  readonly infos: readonly ModelInfo[]
}

export interface Question {
  /** As it is called here, and there. */
  readonly model: string
  readonly named: string
  /** The version where the upstream has none. */
  readonly version: string
  readonly headers: readonly string[]
  readonly timeoutMs: number
}

/** Asks an endpoint about a model. Throws an error whose message says what was wrong, in our words. */
export async function survey(endpoint: Endpoint, question: Question): Promise<Surveyed> {
  const { model, named, version, headers, timeoutMs } = question
  const path = `/v2/models/${encodeURIComponent(named)}`
  const metadata = await read(endpoint, path, headers, timeoutMs)
  const versions = [...(metadata.versions ?? [])].sort(new Intl.Collator('en', { numeric: true }).compare).slice(-mostVersions)
  if (versions.length === 0) return { versioned: false, infos: [infoOf(model, version, metadata)] }
  const infos: ModelInfo[] = []
  for (const one of versions) {
    const own = versions.length === 1 ? metadata : await read(endpoint, `${path}/versions/${one}`, headers, timeoutMs).catch(() => metadata)
    infos.push(infoOf(model, one, own))
  }
  return { versioned: true, infos }
}

async function read(endpoint: Endpoint, path: string, headers: readonly string[], timeoutMs: number): Promise<Metadata> {
  const { status, body } = await ask(endpoint, path, headers, timeoutMs)
  if (status !== 200) throw new Error(`status ${status}`)
  const parsed = Metadata.safeParse(parseJson(body))
  if (parsed.success) return parsed.data
  throw new Error(`metadata that cannot be understood at ${parsed.error.issues[0]?.path.map(String).join('.').slice(0, 64) ?? ''}`)
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}

function infoOf(name: string, version: string, { platform, inputs, outputs }: Metadata): ModelInfo {
  return { name, version, platform: platform || 'upstream', operations: ['infer'], inputs, outputs, labels: [], digest: null }
}

/** How a declaration differs from what the upstream says; undefined where it does not, or says nothing. */
export function differenceOf(declared: ModelInfo, { versioned, infos }: Surveyed): string | undefined {
  const said = versioned ? infos.find(({ version }) => version === declared.version) : infos[0]
  if (said === undefined) return `it has no version ${declared.version}`
  return differing('inputs', declared.inputs, said.inputs) ?? differing('outputs', declared.outputs, said.outputs)
}

function differing(what: string, declared: readonly TensorSpec[], said: readonly TensorSpec[]): string | undefined {
  const text = (specs: readonly TensorSpec[]) =>
    specs
      .map(({ name, datatype, shape }) => `${name} ${datatype} [${shape.join(', ')}]`)
      .sort()
      .join('; ')
  return said.length === 0 || text(declared) === text(said) ? undefined : `its ${what} are others than those declared`
}
