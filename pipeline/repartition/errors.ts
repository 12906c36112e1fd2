import { CordonError } from '../../schemas/index.ts'

/**
 * Codes of `cordon repartition`.
 *
 * - `NOT_OBSERVED`: not a topic that a detector may keep state by.
 * - `NOT_GROWING`: the topic has more partitions already, or its state is for more; none can be taken away.
 * - `DETECT_RUNNING`: a detect process is alive, or its group has committed meanwhile.
 * - `NOT_SETTLED`: somebody still writes by the old number of partitions.
 * - `NOT_PUBLISHED`: findings could not be published.
 */
export type RepartitionErrorCode = 'NOT_OBSERVED' | 'NOT_GROWING' | 'DETECT_RUNNING' | 'NOT_SETTLED' | 'NOT_PUBLISHED'

export class RepartitionError extends CordonError<RepartitionErrorCode> {
  constructor(code: RepartitionErrorCode, message: string, options?: { cause?: unknown }) {
    super(code, message, options)
    this.name = 'RepartitionError'
  }
}
