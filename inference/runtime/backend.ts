import * as tf from '@tensorflow/tfjs-core'
import type { Logger } from 'pino'
import { InferenceError } from '../errors.ts'

export type BackendName = 'tensorflow-gpu' | 'tensorflow' | 'webgpu' | 'wasm'
export type BackendChoice = 'auto' | BackendName

/** Best first. The first two are optional packages, since npm cannot install them everywhere. */
const candidates = [
  { name: 'tensorflow-gpu', module: '@tensorflow/tfjs-node-gpu', registers: 'tensorflow' },
  { name: 'tensorflow', module: '@tensorflow/tfjs-node', registers: 'tensorflow' },
  { name: 'wasm', module: '@tensorflow/tfjs-backend-wasm', registers: 'wasm' },
] as const

/**
 * Loads the backend asked for, or with `auto` the best that is installed and starts, and makes it tfjs's current
 * one, which is global to the process. Logs which one it is and why not a better one.
 *
 * Throws `BACKEND_UNAVAILABLE`.
 */
export async function openBackend(choice: BackendChoice, log: Logger): Promise<BackendName> {
  quieten()
  const passed: { name: string; why: string }[] = []
  for (const candidate of candidates) {
    if (choice !== 'auto' && choice !== candidate.name) continue
    try {
      await start(candidate)
      log.info({ backend: candidate.name, module: candidate.module, asked: choice, passed }, 'inference backend chosen')
      return candidate.name
    } catch (cause) {
      if (choice !== 'auto') {
        const message = `The backend ${choice} did not start: is ${candidate.module} installed and built for this machine?`
        throw new InferenceError('BACKEND_UNAVAILABLE', message, { cause })
      }
      passed.push({ name: candidate.name, why: reason(cause) })
    }
  }
  throw new InferenceError('BACKEND_UNAVAILABLE', `No inference backend starts: ${JSON.stringify(passed)}`)
}

async function start({ name, module, registers }: (typeof candidates)[number]): Promise<void> {
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

/** tfjs and TensorFlow greet on the console, and warn about instruction sets; logs are ours to write. */
function quieten(): void {
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2'
  tf.enableProdMode()
}

function reason(cause: unknown): string {
  if (cause instanceof Error && 'code' in cause && cause.code === 'ERR_MODULE_NOT_FOUND') return 'not installed'
  return cause instanceof Error ? cause.message.slice(0, 300) : 'unknown'
}
