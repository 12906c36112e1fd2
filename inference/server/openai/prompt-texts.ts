import { isObject } from '../../json-object.ts'
import type { PromptMessage } from '../../port.ts'
import type { TextOperation } from './read-request.ts'

/** Events of one request; what more prompts say is told by the last of them, as messages of one prompt. */
export const maxPrompts = 16

/** What offers tools and forms of answers: models read it, and attacks may stand in it. */
const offers = ['tools', 'functions', 'response_format', 'prediction', 'guided_json']

/** What an answer that is sent back has besides its content. */
const beside = ['tool_calls', 'function_call', 'refusal', 'reasoning', 'reasoning_content']

/**
 * What the model is to read, prompt by prompt, with nothing left out that changes its answer: texts, images and sound as their
 * keyed hash, calls of tools with their arguments, tokens as their numbers.
 *
 * @param json a request that was checked (read-request.ts)
 * @param hashOf keyed
 */
export function promptTexts(
  json: Readonly<Record<string, unknown>>,
  operation: TextOperation,
  hashOf: (text: string) => string,
): readonly (readonly PromptMessage[])[] {
  if (operation === 'chat') return [[...offered(json), ...chatTexts(json['messages'], hashOf)]]
  const rest = typeof json['suffix'] === 'string' ? [{ role: 'suffix', text: json['suffix'] }, ...offered(json)] : offered(json)
  const prompts = textsOf(operation === 'completion' ? json['prompt'] : json['input']).map((text) => ({ role: 'prompt', text }))
  const first = prompts.slice(0, maxPrompts - 1).map((prompt) => [prompt, ...rest])
  const last = prompts.slice(maxPrompts - 1)
  return last.length === 0 ? first : [...first, [...last, ...rest]]
}

function chatTexts(messages: unknown, hashOf: (text: string) => string): PromptMessage[] {
  const texts: PromptMessage[] = []
  if (!Array.isArray(messages)) return texts
  for (const message of messages) {
    if (!isObject(message)) continue
    const { role, content } = message
    const text = typeof content === 'string' ? content : partsOf(content, hashOf)
    const called = role === 'assistant' ? wordsIn(beside.map((field) => message[field])) : ''
    texts.push({ role: typeof role === 'string' ? role : 'user', text: called === '' ? text : `${text}\n${called}` })
  }
  return texts
}

/** Texts as they are; of anything else a hash, so that another image is another prompt. It is short: random letters are a surprise. */
function partsOf(content: unknown, hashOf: (text: string) => string): string {
  if (!Array.isArray(content)) return ''
  const texts: string[] = []
  for (const part of content) {
    if (!isObject(part)) continue
    const { type, text, refusal } = part
    if (typeof text === 'string') texts.push(text)
    else if (typeof refusal === 'string') texts.push(refusal)
    else texts.push(`[${String(type)} ${hashOf(wordsIn(part)).slice(0, 8)}]`)
  }
  return texts.join('\n')
}

function offered(json: Readonly<Record<string, unknown>>): PromptMessage[] {
  const text = offers.some((field) => json[field] != null) ? wordsIn(offers.map((field) => json[field])) : ''
  return text === '' ? [] : [{ role: 'tools', text }]
}

/** Every string in it, in order, a line each. The request was refused if it is nested deeper than any is. */
function wordsIn(value: unknown): string {
  const words: string[] = []
  gather(value, words)
  return words.join('\n')
}

function gather(value: unknown, words: string[]): void {
  if (typeof value === 'string') words.push(value)
  else if (Array.isArray(value)) for (const one of value) gather(one, words)
  else if (isObject(value)) for (const one of Object.values(value)) gather(one, words)
}

/** One text, several, or tokens of one or several. */
function textsOf(prompt: unknown): string[] {
  if (typeof prompt === 'string') return [prompt]
  if (!Array.isArray(prompt)) return []
  if (typeof prompt[0] === 'number') return [prompt.join(' ')]
  return prompt.map((one) => (Array.isArray(one) ? one.join(' ') : String(one)))
}
