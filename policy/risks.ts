import { type Instant, type Risk, riskAt } from '../schemas/index.ts'

/** How risky principals are at present, by what detectors found of them. */
export interface Risks {
  /** @returns 0 to 1 */
  of(principal: string, now: Instant): number
}

/** @param records the newest of each principal, such as a view of the topic `risks` */
export function risksOf(records: { get(principal: string): Risk | undefined }): Risks {
  return {
    of: (principal, now) => {
      const record = records.get(principal)
      return record === undefined ? 0 : riskAt(record, now)
    },
  }
}
