import type { TextConfiguration } from '../../configuration.ts'
import { GuardedTexts, TextGuard } from '../../redaction/text-guard.ts'
import type { Exchange } from '../exchange.ts'
import { invalid } from './invalid.ts'
import { isObject } from './open-body.ts'
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

type Write = (text: string) => string

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
  const guard = guardOf(bounds)
  if (!(guard.looksAtRequests || guard.looksAtAnswers)) return { asked, texts: undefined }
  const texts = new GuardedTexts(guard, principal, (direction, kind) => metrics.redacted(direction, kind))
  const guarded = guard.looksAtRequests ? rewritten(asked, texts, bounds) : asked
  return { asked: guarded, texts: texts.changesAnswers ? texts : undefined }
}

/** By configuration, of which there are as many as models are configured. */
const guards = new WeakMap<TextConfiguration, TextGuard>()

function guardOf(bounds: TextConfiguration): TextGuard {
  const known = guards.get(bounds)
  if (known !== undefined) return known
  const guard = new TextGuard(bounds)
  guards.set(bounds, guard)
  return guard
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
  if (objection.kind === 'invisible') throw invalid(field, 'invisible_characters', 'this model takes no control or invisible characters')
  throw invalid(field, 'personal_data', `this model takes no personal data or secrets; there is one of kind ${objection.kind}`)
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

/** A text that is JSON, such as a call's arguments: its strings and numbers are looked at, and it stays JSON. */
export function mapJson(text: string, write: Write): string {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return write(text)
  }
  const mapped = mapValues(parsed, write, 0)
  return mapped === parsed ? text : JSON.stringify(mapped)
}

function mapValues(value: unknown, write: Write, depth: number): unknown {
  if (typeof value === 'string') return write(value)
  if (typeof value === 'number') return numberOr(value, write)
  if (typeof value !== 'object' || value === null || depth > 64) return value
  if (Array.isArray(value)) {
    const mapped = value.map((one) => mapValues(one, write, depth + 1))
    return mapped.some((one, i) => one !== value[i]) ? mapped : value
  }
  const entries = Object.entries(value).map(([name, one]) => [write(name), mapValues(one, write, depth + 1), name, one] as const)
  return entries.some(([name, one, name0, one0]) => name !== name0 || one !== one0)
    ? Object.fromEntries(entries.map(([name, one]) => [name, one]))
    : value
}

/** A card's number may be written as one. */
function numberOr(value: number, write: Write): unknown {
  const text = String(value)
  const written = text.length < 7 ? text : write(text)
  return written === text ? value : written
}

/** Tokens of one text, or of several. */
function hasTokens(prompt: unknown): boolean {
  return Array.isArray(prompt) && prompt.some((one) => typeof one !== 'string')
}
