import type { Registry } from 'prom-client'
import { RequestCancellation } from '../../inference/cancellation.ts'
import type { Datatype, Tensor, TensorData, TensorRuntime } from '../../inference/port.ts'
import type { RuntimeOptions } from '../../inference/runtime/open.ts'

export type Using = (changes: Partial<RuntimeOptions>, use: (runtime: TensorRuntime, registry: Registry) => Promise<void>) => Promise<void>

export function tensor(name: string, datatype: Datatype, shape: readonly number[], data: TensorData): Tensor {
  return { name, datatype, shape, data }
}

export function ask(
  runtime: TensorRuntime,
  model: string,
  inputs: readonly Tensor[],
  outputs: readonly string[],
  { version = '1', waitMs = 60_000 } = {},
) {
  const raw = { body: new Uint8Array(0), jsonBytes: null }
  const cancellation = new RequestCancellation(performance.now() + waitMs)
  const call = { model, version, pool: 'a', inputs, items: inputs[0]?.shape[0] ?? 0, outputs, raw, headers: {}, cancellation }
  return { answer: runtime.infer(call).then((inference) => inference.tensors()), cancellation }
}

/** A row of values for `free`. */
export const row = (...values: number[]) => [tensor('values', 'FP16', [1, values.length], Float32Array.from(values))]

/** One value through a version of `free`, which doubles it. */
export const double = async (runtime: TensorRuntime, version: string, value = 21) => {
  const [twice] = await ask(runtime, 'free', row(value), ['twice'], { version }).answer
  return Number(twice?.data[0])
}

/** Resolves when the condition holds; the test's own time limit is the bound. */
export async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 5))
}
