import type { InferenceErrorCode } from '../errors.ts'
import type { ModelInfo } from '../port.ts'
import type { OpenedBackend } from './backend.ts'

// What a pool and its worker thread say to each other. One side is open.ts's process, the other worker.ts.

/** Values as tfjs has them: float32, int32, bool, string. */
export type Values = Float32Array | Int32Array | Uint8Array | readonly Uint8Array[]

export interface Block {
  readonly data: Values
  /** Rows first. */
  readonly shape: readonly number[]
}

/** What the thread's tensors are, weights included. */
export interface Held {
  readonly tensors: number
  readonly bytes: number
}

export type Order =
  | {
      readonly type: 'load'
      readonly id: number
      readonly key: string
      readonly info: ModelInfo
      readonly modelsDir: string
      readonly maxItems: number
    }
  /** `outputs` are positions among the model's. */
  | {
      readonly type: 'run'
      readonly id: number
      readonly key: string
      readonly inputs: readonly Block[]
      readonly outputs: readonly number[]
    }
  | { readonly type: 'dispose'; readonly id: number; readonly key: string }
  /** When everything before it is done. */
  | { readonly type: 'end' }
  /** At once: what is under way loses its device, and fails. Understood on WebGPU alone. */
  | { readonly type: 'lose' }

export type Report =
  | { readonly type: 'opened'; readonly backend: OpenedBackend }
  | { readonly type: 'refused'; readonly message: string }
  /** The files of a load are read, and the model is built now. */
  | { readonly type: 'building'; readonly id: number }
  | { readonly type: 'loaded'; readonly id: number; readonly bytes: number; readonly held: Held }
  | { readonly type: 'ran'; readonly id: number; readonly outputs: readonly Block[]; readonly runMs: number; readonly held: Held }
  | { readonly type: 'disposed'; readonly id: number; readonly held: Held }
  | { readonly type: 'failed'; readonly id: number; readonly code: InferenceErrorCode; readonly message: string; readonly held: Held }

/** Buffers that can change hands; strings are copied. */
export function buffersOf(blocks: readonly Block[]): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>()
  for (const { data } of blocks) if (ArrayBuffer.isView(data) && data.buffer instanceof ArrayBuffer) found.add(data.buffer)
  return [...found]
}
