import type { Instant } from '../schemas/index.ts'

/** Names what one subject may spend in one window of a rule. */
export function bucketOf(rule: string, subject: string, start: Instant): string {
  return `${rule}|${subject}|${start}`
}

/** What {@link bucketOf} put together: `rule|subject`, and when the window starts. A subject may have any character. */
export function partsOf(bucket: string): { readonly account: string; readonly start: Instant } {
  const at = bucket.lastIndexOf('|')
  return { account: bucket.slice(0, at), start: Number(bucket.slice(at + 1)) }
}
