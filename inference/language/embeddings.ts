import { z } from 'zod'
import { parse } from './ask.ts'
import type { Predictor } from './predictor.ts'
import { RequestError } from './refused.ts'
import { textsOf } from './texts.ts'
import { encode } from './vocabulary.ts'

const maxTexts = 4_096
/** Windows that one text is read through, at most. */
const maxWindows = 64
/** Windows in one call of the model, so that others get their turn. */
const perRun = 32

const Embedding = z.object({
  input: z.unknown().optional(),
  dimensions: z.int().min(1).max(65_536).nullish(),
  encoding_format: z.enum(['float', 'base64']).nullish(),
})

/**
 * The list of embeddings that the OpenAI API answers with. An embedding is the mean of what the last layer reads, over the
 * windows of the text, with length 1.
 *
 * @throws RequestError, and InferenceError as {@link Predictor.run} does
 */
export async function embed(request: unknown, model: string, predictor: Predictor, hidden: number): Promise<object> {
  const { input, dimensions, encoding_format } = parse(Embedding, request)
  const texts = textsOf(input, 'input')
  if (texts.length > maxTexts) throw new RequestError('input', `The field input may have ${maxTexts} texts.`)
  if (texts.includes('')) throw new RequestError('input', 'The field input has an empty text.')
  const size = dimensions ?? hidden
  if (size > hidden) throw new RequestError('dimensions', `This model's embeddings have ${hidden} dimensions.`)
  let tokens = 0
  const data: object[] = []
  for (const [index, text] of texts.entries()) {
    const encoded = encode(text)
    tokens += encoded.length
    const vector = normalised((await mean(encoded, predictor, hidden)).subarray(0, size))
    data.push({ object: 'embedding', index, embedding: encoding_format === 'base64' ? base64(vector) : [...vector] })
  }
  return { object: 'list', data, model, usage: { prompt_tokens: tokens, total_tokens: tokens } }
}

/**
 * Ends of the windows through which a text of some tokens is read: every one while there are few, else evenly spaced. The
 * last one is the end of the text.
 */
export function windowEnds(tokens: number): readonly number[] {
  const count = Math.min(tokens, maxWindows)
  return Array.from({ length: count }, (_, i) => Math.round(((i + 1) * tokens) / count))
}

/** Scaled to length 1; zeros stay zeros. */
export function normalised(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector)
  return length > 0 ? vector.map((value) => value / length) : vector
}

async function mean(tokens: Int32Array, predictor: Predictor, hidden: number): Promise<Float32Array> {
  const ends = windowEnds(tokens.length)
  const sum = new Float64Array(hidden)
  for (let from = 0; from < ends.length; from += perRun) {
    const some = ends.slice(from, from + perRun)
    const windows = new Int32Array(some.length * predictor.window)
    for (const [i, end] of some.entries()) {
      const known = tokens.subarray(Math.max(0, end - predictor.window), end)
      windows.set(known, (i + 1) * predictor.window - known.length)
    }
    const values = await predictor.run(windows, some.length, 'hidden')
    for (const [i, value] of values.entries()) sum[i % hidden] = (sum[i % hidden] ?? 0) + value
  }
  return Float32Array.from(sum, (value) => value / ends.length)
}

/** Little-endian float32, as the OpenAI API has it. */
function base64(vector: Float32Array): string {
  const bytes = Buffer.alloc(4 * vector.length)
  for (const [i, value] of vector.entries()) bytes.writeFloatLE(value, 4 * i)
  return bytes.toString('base64')
}
