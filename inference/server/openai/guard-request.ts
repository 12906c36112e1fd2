import type { TextConfiguration } from '../../configuration.ts'
import { isObject } from '../../json-object.ts'
import { mapJson, type Write } from '../../redaction/map-json.ts'
import { type GuardedTexts, openTexts } from '../../redaction/text-guard.ts'
import type { Exchange } from '../exchange.ts'
import { invalid } from './invalid.ts'
import type { OpenaiParts } from './parts.ts'
import type { TextRequest } from './read-request.ts'

/** What the model reads, and what its server keeps of who asks. */
const read = ['messages', 'prompt', 'input', 'suffix', 'prediction', 'tools', 'functions', 'response_format', 'guided_json']
const beside = ['user', 'safety_identifier', 'prompt_cache_key', 'metadata']

/** Members that are no text: what they are is told by the API, data are encoded, and names refer to each other. */
const noText = new Set([
  ...['url', 'data', 'file_data', 'file_id', 'format', 'type', 'role', 'id', 'tool_call_id', 'detail'],
  ...['required', 'pattern', '$ref', '$id', '$schema'],
])
/** A tool's name is answered with; a message's is only read. */
const named = new Set(['function', 'custom', 'json_schema', 'tools', 'functions'])

/** A request as the model may have it, and what its answer goes through; `texts` is undefined where the model's answers may say anything. */
export interface GuardedRequest {
  readonly asked: TextRequest
  readonly texts: GuardedTexts | undefined
}

/**
 * Sanitises and redacts a request by the model's configuration: the same request where nothing applies. What leaves the prompt's
 * fingerprint is the request as it came: fingerprints tell nobody anything, and what is masked would make different prompts alike.
 *
 * @throws Refusal `MALFORMED` where the model takes no such text; it names the kind, never the value
 */
export function guardRequest(
  { metrics }: Pick<OpenaiParts, 'metrics'>,
  { principal }: Pick<Exchange, 'principal'>,
  asked: TextRequest,
  bounds: TextConfiguration,
): GuardedRequest {
  const texts = openTexts(bounds, principal, (direction, kind) => metrics.redacted(direction, kind))
  if (texts === undefined) return { asked, texts }
  const guarded = texts.looksAtRequests ? rewritten(asked, texts, bounds) : asked
  return { asked: guarded, texts: texts.changesAnswers ? texts : undefined }
}

function rewritten(asked: TextRequest, texts: GuardedTexts, bounds: TextConfiguration): TextRequest {
  const { json } = asked
  const fields = [...read, ...beside].filter((field) => json[field] != null)
  for (const field of fields) {
    if (bounds.redaction.input !== 'off' && (field === 'prompt' || field === 'input') && hasTokens(json[field]))
      throw invalid(field, 'invalid_value', 'this model takes texts, because tokens cannot be looked into')
    mapTexts(json[field], field, (text) => inspected(texts, field, text))
  }
  let changed: Record<string, unknown> | undefined
  for (const field of fields) {
    const value = mapTexts(json[field], field, (text) => texts.input(text))
    if (value !== json[field]) changed = { ...(changed ?? json), [field]: value }
  }
  return changed === undefined ? asked : { ...asked, json: changed, body: Buffer.from(JSON.stringify(changed)) }
}

function inspected(texts: GuardedTexts, field: string, text: string): string {
  const objection = texts.inspect(text)
  if (objection === undefined) return text
  throw invalid(field, objection.reason, objection.message)
}

/** Every text in it, rewritten; the same value where none changed. A request nested too deep was refused before. */
function mapTexts(value: unknown, name: string, write: Write): unknown {
  if (typeof value === 'string') return name === 'arguments' ? mapJson(value, write) : write(value)
  if (Array.isArray(value)) {
    const mapped = value.map((one) => mapTexts(one, name, write))
    return mapped.some((one, i) => one !== value[i]) ? mapped : value
  }
  if (!isObject(value)) return value
  let changed: Record<string, unknown> | undefined
  for (const [member, one] of Object.entries(value)) {
    if (noText.has(member) || (member === 'name' && named.has(name))) continue
    const mapped = mapTexts(one, member, write)
    if (mapped !== one) changed = { ...(changed ?? value), [member]: mapped }
  }
  return changed ?? value
}

/** Tokens of one text, or of several. */
function hasTokens(prompt: unknown): boolean {
  return Array.isArray(prompt) && prompt.some((one) => typeof one !== 'string')
}
