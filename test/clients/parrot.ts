import type { TextCall } from '../../inference/port.ts'
import { events, json, type Script } from '../inference/openai/scripted-text.ts'

/** Dimensions of the parrot's embeddings, which a float32 has exactly. */
const vector = [0.5, -0.25, 0.125, -1]

/**
 * A server of the OpenAI API that says back what it hears, word by word: no model, but the whole of the format. Asked for
 * a tool it calls the one that it must; told `forever` it does not end by itself.
 */
export function parrot(call: TextCall): Script {
  const { operation, stream, request } = call
  if (operation === 'embedding') return json(embed(request))
  if (heardIn(request).includes('forever')) return { body: forever(call) }
  const whole = operation === 'chat' ? chat(request) : completion(request)
  return stream ? { body: events(...pieces(operation, request), '[DONE]') } : json(whole)
}

type Request = TextCall['request']
const head = { id: 'cmpl-parrot', created: 1_700_000_000, model: 'parrot' }
const usage = { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 }

function heardIn({ messages, prompt }: Request): string {
  const last: unknown = Array.isArray(messages) ? messages.at(-1)?.content : prompt
  return String(last)
}

function toolOf({ tool_choice: choice }: Request): string | undefined {
  return typeof choice === 'object' && choice !== null && 'function' in choice
    ? String((choice.function as { name: unknown }).name)
    : undefined
}

function logprobsOf({ logprobs }: Request, token: string): object | null {
  if (logprobs !== true) return null
  const one = { token, logprob: -0.123456, bytes: [...Buffer.from(token)] }
  return { content: [{ ...one, top_logprobs: [one] }], refusal: null }
}

function chat(request: Request): object {
  const tool = toolOf(request)
  const called = { id: 'call_1', type: 'function', function: { name: tool, arguments: '{"city":"Paris"}' } }
  const message = tool === undefined ? { content: heardIn(request) } : { content: null, tool_calls: [called] }
  const choice = { index: 0, message: { role: 'assistant', ...message }, logprobs: logprobsOf(request, heardIn(request)) }
  return { ...head, object: 'chat.completion', choices: [{ ...choice, finish_reason: tool === undefined ? 'stop' : 'tool_calls' }], usage }
}

function completion(request: Request): object {
  return {
    ...head,
    object: 'text_completion',
    choices: [{ index: 0, text: heardIn(request), logprobs: null, finish_reason: 'stop' }],
    usage,
  }
}

function pieces(operation: TextCall['operation'], request: Request): object[] {
  const object = operation === 'chat' ? 'chat.completion.chunk' : 'text_completion'
  const tool = operation === 'chat' ? toolOf(request) : undefined
  const piece = (add: object, finish: string | null = null, more: object = {}) => ({
    ...{ ...head, object },
    choices: [{ index: 0, ...(operation === 'chat' ? { delta: add } : add), finish_reason: finish, ...more }],
  })
  const words = heardIn(request).split(/(?<= )/)
  const call = (change: object) => piece({ tool_calls: [{ index: 0, ...change }] })
  const said =
    operation === 'completion'
      ? words.map((text) => piece({ text }))
      : tool === undefined
        ? [
            piece({ role: 'assistant', content: '' }),
            ...words.map((content) => piece({ content }, null, { logprobs: logprobsOf(request, content) })),
          ]
        : [
            piece({
              role: 'assistant',
              tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: tool, arguments: '' } }],
            }),
            ...['{"city"', ':"Paris"}'].map((text) => call({ function: { arguments: text } })),
          ]
  const end = piece(operation === 'chat' ? {} : { text: '' }, tool === undefined ? 'stop' : 'tool_calls')
  const options = request['stream_options'] as { include_usage?: boolean } | undefined
  return [...said, end, ...(options?.include_usage === true ? [{ ...head, object, choices: [], usage }] : [])]
}

async function* forever({ cancellation }: TextCall): AsyncGenerator<Buffer> {
  for (const piece of events(...pieces('chat', { messages: [{ content: 'for ever and ' }] }).slice(0, -1))) yield piece
  await new Promise<void>((resolve) => cancellation.onEnd(resolve))
}

function embed({ input, encoding_format: format }: Request): object {
  const embedding = format === 'base64' ? Buffer.from(Float32Array.from(vector).buffer).toString('base64') : vector
  const data = [input].flat().map((_, index) => ({ object: 'embedding', index, embedding }))
  return { object: 'list', data, model: 'parrot', usage: { prompt_tokens: 5, total_tokens: 5 } }
}
