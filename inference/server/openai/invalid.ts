import { Refusal } from '../refusal.ts'

/** Names that may be repeated to the client: what else it wrote is not. */
const sayable = /^[\w.[\]-]{1,128}$/

/**
 * A request that the API, or the model's bounds, do not allow: 400, with the field that is wrong.
 *
 * @param reason what clients branch on, such as `invalid_value`
 */
export function invalid(param: string, reason: string, message: string, cause?: unknown): Refusal {
  const named = sayable.test(param)
  return new Refusal('MALFORMED', named ? `${param}: ${message}` : message, { reason, cause, ...(named ? { param } : {}) })
}

/** `messages[0].content`, as the API writes where something is. */
export function pathOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : `${text}${text === '' ? '' : '.'}${String(key)}`),
    '',
  )
}

/** The upstream's answer cannot be passed on: 502. */
export function unusable(reason: string, message: string): Refusal {
  return new Refusal('FAILED_UPSTREAM', message, { reason })
}
