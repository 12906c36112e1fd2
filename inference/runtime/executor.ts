import type * as tf from '@tensorflow/tfjs-core'

/** A model in tfjs, of whatever format. */
export interface Executor {
  /**
   * @param inputs in the order of the specs
   * @returns every output, in the order of the specs; the caller disposes of them, and of the inputs
   */
  run(inputs: readonly tf.Tensor[]): Promise<tf.Tensor[]>
  dispose(): void
}
