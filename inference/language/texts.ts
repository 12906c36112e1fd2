import { RequestError } from './refused.ts'
import { characterOf, vocabularySize } from './vocabulary.ts'

/**
 * The texts of `prompt` or `input`: one, several, or either as tokens.
 *
 * @throws RequestError
 */
export function textsOf(value: unknown, param: string): readonly string[] {
  if (typeof value === 'string') return [value]
  if (!Array.isArray(value) || value.length === 0) throw unreadable(param)
  const items: readonly unknown[] = value
  if (typeof items[0] === 'number') return [decode(items, param)]
  return items.map((item) => {
    if (typeof item === 'string') return item
    if (Array.isArray(item)) return decode(item, param)
    throw unreadable(param)
  })
}

function decode(tokens: readonly unknown[], param: string): string {
  let text = ''
  for (const token of tokens) {
    if (typeof token !== 'number' || !Number.isInteger(token) || token < 0 || token >= vocabularySize) throw unreadable(param)
    text += characterOf(token)
  }
  return text
}

function unreadable(param: string): RequestError {
  return new RequestError(param, `The field ${param} must be a text, a list of texts, or tokens from 0 to ${vocabularySize - 1}.`)
}
