import { isUtf8 } from 'node:buffer'
import { isObject } from '../../json-object.ts'
import { namesIn, shapeOf } from '../../json-scan.ts'
import { parseJson } from '../../parse-json.ts'
import { refusalOfStatus } from '../refusal.ts'
import { invalid } from './invalid.ts'

/** Deeper is no request of the API; parsers that recurse would run out of stack. */
const maxDepth = 48
/** Values besides tokens: beyond it, checking each would take too long. */
const maxValues = 16_384

/** The body of a request, as JSON of which nothing is known yet. */
export interface OpenBody {
  readonly json: Readonly<Record<string, unknown>>
  /** What was sent, where every parser reads the same in it; undefined where it must be written anew. */
  readonly bytes: Buffer | undefined
  readonly model: string
}

/** @throws Refusal `MEDIA_TYPE`, `MALFORMED` */
export function openBody(contentType: string | undefined, body: unknown): OpenBody {
  if (contentType !== undefined && !/^application\/json\s*(;|$)/i.test(contentType)) throw refusalOfStatus(415, undefined)
  if (!Buffer.isBuffer(body) || !isUtf8(body)) throw unreadable()
  const text = body.toString()
  const { depth, names, commas } = shapeOf(text)
  if (depth > maxDepth) throw unreadable()
  const json = objectOf(text)
  if (commas - tokensIn(json['prompt'] ?? json['input']) > maxValues)
    throw invalid('', 'invalid_value', `A request has at most ${maxValues} values, besides tokens.`)
  const { model } = json
  if (model === undefined) throw invalid('model', 'missing_required_parameter', 'name the model')
  if (typeof model !== 'string' || model === '' || model.length > 256)
    throw invalid('model', 'invalid_value', 'expected a name of 1 to 256 characters')
  // A name that comes twice, and a byte order mark, are read differently elsewhere: past our checks goes what we read.
  const same = text.charCodeAt(0) !== 0xfeff && namesIn(json) === names
  return { json, bytes: same ? body : undefined, model }
}

/** `__proto__` and `constructor.prototype` are refused. */
function objectOf(text: string): Record<string, unknown> {
  let json: unknown
  try {
    json = parseJson(text)
  } catch (cause) {
    throw unreadable(cause)
  }
  if (!isObject(json)) throw unreadable()
  return json
}

function tokensIn(prompt: unknown): number {
  if (!Array.isArray(prompt)) return 0
  let count = prompt.length
  for (const one of prompt) if (Array.isArray(one)) count += one.length
  return count
}

function unreadable(cause?: unknown) {
  return invalid('', 'invalid_json', 'Send a JSON object of the OpenAI API, in UTF-8.', cause)
}
