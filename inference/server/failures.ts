import { InferenceError, type InferenceErrorCode } from '../errors.ts'
import { busy } from './pools.ts'
import { Refusal } from './refusal.ts'

/** What a runtime throws, as the client may know it. */
export function refusalOf(error: unknown): Error {
  if (error instanceof Refusal) return error
  if (!(error instanceof InferenceError)) return error instanceof Error ? error : new Error('the runtime threw', { cause: error })
  return refusals[error.code]?.(error) ?? error
}

const refusals: Readonly<Partial<Record<InferenceErrorCode, (cause: InferenceError) => Refusal>>> = {
  OVERLOADED: (cause) => busy('OVERLOADED', 1, undefined, cause),
  CLOSED: (cause) => busy('OVERLOADED', 1, undefined, cause),
  CANCELLED: (cause) => busy('OVERLOADED', 1, undefined, cause),
  MODEL_NOT_FOUND: (cause) => busy('OVERLOADED', 5, undefined, cause),
  POOL_AWAY: (cause) => busy('OVERLOADED', cause.retryAfter ?? 5, undefined, cause),
  UPSTREAM_BUSY: (cause) => busy('OVERLOADED', cause.retryAfter ?? 1, undefined, cause),
  UPSTREAM_TIMEOUT: (cause) => new Refusal('TIMED_OUT_UPSTREAM', 'The model did not answer in time.', { cause }),
  UPSTREAM_FAILED: (cause) => new Refusal('FAILED_UPSTREAM', 'The model could not answer.', { cause }),
  UPSTREAM_REFUSED: (cause) => new Refusal('INPUT_INVALID', cause.message, { cause }),
  INPUT_INVALID: (cause) => new Refusal('INPUT_INVALID', 'The input does not fit the model.', { cause }),
}
