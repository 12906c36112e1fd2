import { CordonError } from '../schemas/index.ts'

/**
 * What can go wrong in the inference room.
 *
 * - `MODEL_NOT_FOUND`: no such model or version in the models directory, or not served by that pool.
 * - `MODEL_CORRUPT`: a file of a model is missing, differs from its manifest's digest, or cannot be understood.
 * - `DATASET_CORRUPT`: a data set's file is missing or not in the IDX format.
 * - `BACKEND_UNAVAILABLE`: the wanted TensorFlow backend is not installed or did not start.
 * - `INPUT_INVALID`: an input's length does not fit the number of items, or the number of items is out of bounds.
 * - `INFERENCE_FAILED`: the backend threw while running a model.
 * - `OVERLOADED`: too many items are waiting; nothing was started, try again later.
 * - `CLOSED`: the runtime is closed or closing.
 */
export type InferenceErrorCode =
  | 'MODEL_NOT_FOUND'
  | 'MODEL_CORRUPT'
  | 'DATASET_CORRUPT'
  | 'BACKEND_UNAVAILABLE'
  | 'INPUT_INVALID'
  | 'INFERENCE_FAILED'
  | 'OVERLOADED'
  | 'CLOSED'

export class InferenceError extends CordonError<InferenceErrorCode> {
  constructor(code: InferenceErrorCode, message: string, options?: { cause?: unknown }) {
    super(code, message, options)
    this.name = 'InferenceError'
  }
}
