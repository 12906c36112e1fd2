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
 * - `CANCELLED`: the client went away, or the deadline passed while the request still waited.
 * - `POOL_AWAY`: the pool has no worker, or no endpoint that takes work, at the moment; nothing was started, try again later.
 * - `UPSTREAM_BUSY`: the upstream says that it is over its capacity (429, 503).
 * - `UPSTREAM_TIMEOUT`: the upstream did not answer within its time.
 * - `UPSTREAM_FAILED`: the upstream answered with an error of its own (5xx, 401, 403), cut its answer short, or said something unreadable.
 * - `UPSTREAM_REFUSED`: the upstream refuses this request (other 4xx); nothing is wrong with the upstream.
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
  | 'CANCELLED'
  | 'POOL_AWAY'
  | 'UPSTREAM_BUSY'
  | 'UPSTREAM_TIMEOUT'
  | 'UPSTREAM_FAILED'
  | 'UPSTREAM_REFUSED'

export class InferenceError extends CordonError<InferenceErrorCode> {
  /** Seconds after which an upstream asked to be tried again. */
  readonly retryAfter: number | undefined

  constructor(code: InferenceErrorCode, message: string, options?: { cause?: unknown; retryAfter?: number }) {
    super(code, message, options)
    this.name = 'InferenceError'
    this.retryAfter = options?.retryAfter
  }
}
