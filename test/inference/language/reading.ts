import assert from 'node:assert/strict'
import { createParser } from 'eventsource-parser'
import type { TextAnswer } from '../../../inference/port.ts'

type List<T> = readonly [T, ...T[]]

interface TokenLog {
  readonly token: string
  readonly logprob: number
  readonly bytes: readonly number[]
}

interface Delta {
  readonly content?: string | null
  readonly tool_calls: List<{ readonly function: { readonly name: string; readonly arguments: string } }>
}

interface Choice {
  readonly index: number
  readonly text: string
  readonly message: Delta
  readonly delta: Delta
  readonly finish_reason: string | null
  readonly logprobs: {
    readonly content: List<TokenLog & { readonly top_logprobs: List<TokenLog> }>
    readonly tokens: readonly string[]
    readonly token_logprobs: readonly number[]
    readonly top_logprobs: readonly Readonly<Record<string, number>>[]
    readonly text_offset: readonly number[]
  }
}

/** What tests look into, of all objects of the API; which of it is there, they say. */
export interface Json {
  readonly object: string
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null
  readonly choices: List<Choice>
  readonly data: List<{ readonly index: number; readonly object: string; readonly embedding: readonly number[] }>
  readonly error: { readonly type: string; readonly param: string; readonly message: string }
}

export async function bytesOf(answer: TextAnswer): Promise<string> {
  const parts: Uint8Array[] = []
  for await (const part of answer.body) parts.push(part)
  return Buffer.concat(parts).toString('utf8')
}

export async function readJson(answer: TextAnswer): Promise<Json> {
  assert.match(answer.contentType, /^application\/json/)
  return JSON.parse(await bytesOf(answer))
}

/** Reads a stream as clients do; it must end with `[DONE]`. */
export async function readEvents(answer: TextAnswer): Promise<readonly Json[]> {
  assert.equal(answer.contentType, 'text/event-stream; charset=utf-8')
  const data: string[] = []
  const parser = createParser({ onEvent: (event) => data.push(event.data), onError: (error) => assert.fail(error) })
  parser.feed(await bytesOf(answer))
  assert.equal(data.pop(), '[DONE]')
  return data.map((one): Json => JSON.parse(one))
}
