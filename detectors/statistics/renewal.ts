import type { Instant } from '../../schemas/index.ts'

/**
 * How long after a statement an episode that goes on is stated again: well within half of the shortest lease of the default
 * playbook, so that nobody's containment runs out while he is at it.
 */
const renewMs = 240_000

/** @param statedAt when it was last stated; 0 where it never was */
export function renews(statedAt: Instant, now: Instant): boolean {
  return statedAt > 0 && now - statedAt >= renewMs
}
