import type { ServedConfiguration } from '../../configuration.ts'
import type { Duration, ModelInfo, ModelStatistics, TensorSpec } from '../../port.ts'

/** The protocol's metadata of a model. */
export function metadataOf({ name, platform, inputs, outputs }: ModelInfo, versions: readonly string[]): object {
  const tensor = ({ name, datatype, shape }: TensorSpec) => ({ name, datatype, shape })
  return { name, versions, platform, inputs: inputs.map(tensor), outputs: outputs.map(tensor) }
}

/** As much of Triton's model configuration as clients read: how inputs are batched, and what they are. */
export function configurationOf(model: ModelInfo, { batching }: ServedConfiguration, maxItems: number): object {
  const { name, platform, inputs, outputs, digest } = model
  const batched = inputs.length > 0 && [...inputs, ...outputs].every(({ shape }) => shape[0] === -1)
  const tensor = ({ name, datatype, shape }: TensorSpec) => ({
    name,
    data_type: `TYPE_${datatype === 'BYTES' ? 'STRING' : datatype}`,
    dims: batched ? shape.slice(1) : shape,
  })
  return {
    name,
    platform,
    max_batch_size: batched ? maxItems : 0,
    input: inputs.map(tensor),
    output: outputs.map(tensor),
    // What runs elsewhere is batched there, or not.
    ...(digest === null
      ? {}
      : { dynamic_batching: { preferred_batch_size: [batching.maxItems], max_queue_delay_microseconds: batching.maxWaitMicros } }),
  }
}

const never: Duration = { count: 0, ns: 0 }

/** One model version in Triton's statistics extension. What the node does not tell apart from computing has no time. */
export function statisticsOf({ name, version }: ModelInfo, statistics: ModelStatistics): object {
  const { lastInference, inferenceCount, executionCount, success, fail, queue, compute, batches, memoryBytes } = statistics
  const steps = {
    compute_input: { ...never, count: compute.count },
    compute_infer: compute,
    compute_output: { ...never, count: compute.count },
  }
  return {
    name,
    version,
    last_inference: lastInference,
    inference_count: inferenceCount,
    execution_count: executionCount,
    inference_stats: { success, fail, queue, ...steps, cache_hit: never, cache_miss: never },
    response_stats: {},
    batch_stats: batches.map(({ size, compute }) => ({
      batch_size: size,
      compute_input: { ...never, count: compute.count },
      compute_infer: compute,
      compute_output: { ...never, count: compute.count },
    })),
    memory_usage: [{ type: 'CPU', id: 0, byte_size: memoryBytes }],
  }
}
