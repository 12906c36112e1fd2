import { CordonError } from '../../schemas/index.ts'

/**
 * Codes of `cordon repartition`.
 *
 * - `NOT_OBSERVED`: no detector keeps state by this topic's partitions.
 * - `NOT_GROWING`: the topic has more partitions already, or its state is for more; none can be taken away.
 * - `DETECT_RUNNING`: a detect process is alive, or its group has committed meanwhile.
 * - `NOT_SETTLED`: somebody still writes by the old number of partitions.
 * - `STATE_UNUSABLE`: the state from before cannot be read.
 */
export type RepartitionErrorCode = 'NOT_OBSERVED' | 'NOT_GROWING' | 'DETECT_RUNNING' | 'NOT_SETTLED' | 'STATE_UNUSABLE'

export class RepartitionError extends CordonError<RepartitionErrorCode> {
  constructor(code: RepartitionErrorCode, message: string, options?: { cause?: unknown }) {
    super(code, message, options)
    this.name = 'RepartitionError'
  }
}
