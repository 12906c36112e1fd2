import * as tf from '@tensorflow/tfjs-core'
import { InferenceError } from '../errors.ts'
import { offerWebGpu } from './webgpu.ts'

export type BackendName = 'tensorflow-gpu' | 'tensorflow' | 'webgpu' | 'wasm'
export type BackendChoice = 'auto' | BackendName

/** Best first. All but the last are optional packages, since npm cannot install them everywhere. */
const candidates = [
  { name: 'tensorflow-gpu', module: '@tensorflow/tfjs-node-gpu', registers: 'tensorflow', setup: 'npm run setup:tensorflow -- --gpu' },
  { name: 'tensorflow', module: '@tensorflow/tfjs-node', registers: 'tensorflow', setup: 'npm run setup:tensorflow' },
  { name: 'webgpu', module: '@tensorflow/tfjs-backend-webgpu', registers: 'webgpu', setup: 'npm run setup:webgpu' },
  { name: 'wasm', module: '@tensorflow/tfjs-backend-wasm', registers: 'wasm', setup: 'npm ci' },
] as const

type Candidate = (typeof candidates)[number]

export interface OpenedBackend {
  readonly name: BackendName
  readonly module: string
  /** Better ones that are not there, with `auto`. */
  readonly passed: readonly { readonly name: string; readonly why: string }[]
}

/**
 * Loads the backend asked for, or with `auto` the best that is installed and starts, and makes it tfjs's current one,
 * which is global to the thread. With `auto`, WebGPU is taken on a real device only: software makes a worse processor.
 *
 * Throws `BACKEND_UNAVAILABLE`.
 */
export async function openBackend(choice: BackendChoice): Promise<OpenedBackend> {
  // tfjs greets on the console, and warns; logs are ours to write.
  tf.enableProdMode()
  const passed: { name: string; why: string }[] = []
  for (const candidate of candidates) {
    if (choice !== 'auto' && choice !== candidate.name) continue
    try {
      await start(candidate, choice === 'auto')
      return { name: candidate.name, module: candidate.module, passed }
    } catch (cause) {
      if (choice !== 'auto') {
        const message = `The backend ${choice} did not start (${reason(cause)}): \`${candidate.setup}\` installs ${candidate.module}`
        throw new InferenceError('BACKEND_UNAVAILABLE', message, { cause })
      }
      passed.push({ name: candidate.name, why: reason(cause) })
    }
  }
  throw new InferenceError('BACKEND_UNAVAILABLE', `No inference backend starts: ${JSON.stringify(passed)}`)
}

async function start({ name, module, registers }: Candidate, choosy: boolean): Promise<void> {
  if (name === 'webgpu') await offerWebGpu(choosy)
  // A variable, so that no tool asks for packages that are optional.
  await import(module)
  if (!(await tf.setBackend(registers))) throw new Error(`${module} loaded, but its backend does not start`)
  await tf.ready()
  // tfjs-node-gpu computes on the processor where it finds no device; that is the next candidate's name.
  if (name === 'tensorflow-gpu' && !usesGpu(tf.backend())) throw new Error('no GPU device was found')
}

function usesGpu(backend: object): boolean {
  return 'isUsingGpuDevice' in backend && backend.isUsingGpuDevice === true
}

function reason(cause: unknown): string {
  if (cause instanceof Error && 'code' in cause && cause.code === 'ERR_MODULE_NOT_FOUND') return 'not installed'
  return cause instanceof Error ? cause.message.slice(0, 300) : 'unknown'
}
