import type { z } from 'zod'
import { ConsoleError } from './errors.ts'

/**
 * Parses what a request carries.
 *
 * @throws ConsoleError `INVALID_REQUEST`, naming the field
 */
export function parse<S extends z.ZodType>(schema: S, value: unknown): z.infer<S> {
  const result = schema.safeParse(value ?? {})
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const field = issue?.path.join('.') ?? ''
  throw new ConsoleError('INVALID_REQUEST', `${field === '' ? 'request' : field}: ${issue?.message ?? 'invalid'}`)
}
