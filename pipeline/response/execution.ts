import { setTimeout as pause } from 'node:timers/promises'
import type { Outcome, ResponderDefinition, ResponderPorts } from '../../responders/contract.ts'
import { ResponderError } from '../../responders/errors.ts'
import type { Action } from '../../schemas/index.ts'

export interface ExecutionOptions {
  /** For one attempt, milliseconds. */
  readonly timeoutMs: number
  readonly attempts: number
  /** Before the second attempt; doubled for each further one. */
  readonly pauseMs: number
}

export const executionDefaults: ExecutionOptions = { timeoutMs: 2_000, attempts: 3, pauseMs: 50 }

/**
 * Carries an action out, again where an attempt throws or takes too long: responders are idempotent. Never rejects
 * but for `closing`, and where this process is no longer in charge; an action that cannot be done is an outcome with `ok: false`.
 */
export async function perform(
  action: Action,
  responder: ResponderDefinition,
  ports: ResponderPorts,
  closing: AbortSignal,
  options: ExecutionOptions,
): Promise<Outcome> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await attempted(action, responder, ports, closing, options.timeoutMs)
    } catch (error) {
      closing.throwIfAborted()
      if (error instanceof ResponderError && error.code === 'NOT_IN_CHARGE') throw error
      // A coded refusal is an answer: asking again gives the same.
      const isFinal = error instanceof ResponderError || attempt >= options.attempts
      if (isFinal) return { ok: false, note: `Attempt ${attempt} failed: ${messageOf(error)}`.slice(0, 2_000) }
      await pause(options.pauseMs * 2 ** (attempt - 1), undefined, { signal: closing })
    }
  }
}

async function attempted(
  action: Action,
  responder: ResponderDefinition,
  ports: ResponderPorts,
  closing: AbortSignal,
  timeoutMs: number,
): Promise<Outcome> {
  const over = Promise.withResolvers<never>()
  const ending = new AbortController()
  const stop = (reason: unknown) => {
    ending.abort(reason)
    over.reject(reason)
  }
  const timer = setTimeout(() => stop(new Error(`It took longer than ${timeoutMs} ms.`)), timeoutMs)
  const onClose = () => stop(closing.reason)
  closing.addEventListener('abort', onClose, { once: true })
  try {
    closing.throwIfAborted()
    return await Promise.race([responder.execute(action, ports, ending.signal), over.promise])
  } finally {
    clearTimeout(timer)
    closing.removeEventListener('abort', onClose)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
