import { z } from 'zod'
import { type Ask, generation, limits, parse, samplingOf, stopsOf } from './ask.ts'
import type { Callable, Plan } from './plan.ts'
import { RequestError } from './refused.ts'
import { anyObject, compileSchema } from './schema.ts'
import { flatten } from './template.ts'

const content = z.union([z.string(), z.array(z.object({ type: z.literal('text'), text: z.string() }))]).nullish()
const calls = z.array(z.object({ function: z.object({ name: z.string(), arguments: z.string() }) })).nullish()
const Tool = z.object({ type: z.literal('function'), function: z.object({ name: z.string().min(1), parameters: z.unknown().optional() }) })
const Named = z.object({ type: z.literal('function'), function: z.object({ name: z.string() }) })
const Format = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text') }),
  z.object({ type: z.literal('json_object') }),
  z.object({ type: z.literal('json_schema'), json_schema: z.object({ schema: z.unknown().optional() }) }),
])

const Chat = z.object({
  ...generation,
  messages: z.array(z.object({ role: z.string(), content, tool_calls: calls })).min(1),
  max_completion_tokens: generation.max_tokens,
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(limits.topLogprobs).nullish(),
  tools: z.array(Tool).max(128).nullish(),
  tool_choice: z.union([z.enum(['none', 'auto', 'required']), Named]).nullish(),
  functions: z.undefined().nullish(),
  function_call: z.enum(['none', 'auto']).nullish(),
  response_format: Format.nullish(),
})
type Chat = z.infer<typeof Chat>

/** @throws RequestError */
export function chatAsk(request: unknown): Ask {
  const chat = parse(Chat, request)
  const plan = planOf(chat)
  const json = plan.kind === 'json' || plan.kind === 'call'
  return {
    prompts: [flatten(chat.messages.map((message) => ({ role: message.role, text: textOf(message) })))],
    n: chat.n ?? 1,
    plan,
    sampling: samplingOf(chat),
    seed: chat.seed ?? null,
    // A stop within JSON would leave what is none.
    stops: json ? [] : stopsOf(chat),
    maxTokens: chat.max_completion_tokens ?? chat.max_tokens ?? (json ? limits.defaultJsonTokens : limits.defaultTokens),
    top: chat.logprobs === true ? (chat.top_logprobs ?? 0) : null,
    echo: false,
    includeUsage: chat.stream_options?.include_usage === true,
  }
}

function textOf({ content, tool_calls }: Chat['messages'][number]): string {
  const text = typeof content === 'string' ? content : (content ?? []).map((part) => part.text).join('')
  return text + (tool_calls ?? []).map((call) => `${call.function.name}(${call.function.arguments})`).join(' ')
}

/** `auto` never calls: the model does not read what is offered. */
function planOf(chat: Chat): Plan {
  const choice = chat.tool_choice ?? 'auto'
  if (choice !== 'none' && choice !== 'auto') return { kind: 'call', functions: functionsOf(chat, choice) }
  const format = chat.response_format ?? { type: 'text' }
  if (format.type === 'text') return { kind: 'line' }
  if (format.type === 'json_object' || format.json_schema.schema === undefined) return { kind: 'json', shape: anyObject }
  return { kind: 'json', shape: compileSchema(format.json_schema.schema, 'response_format') }
}

function functionsOf({ tools }: Chat, choice: 'required' | z.infer<typeof Named>): readonly Callable[] {
  const offered = tools ?? []
  const wanted = choice === 'required' ? offered : offered.filter((tool) => tool.function.name === choice.function.name)
  if (wanted.length === 0) throw new RequestError('tool_choice', 'The field tool_choice asks for a function that tools do not offer.')
  return wanted.map(({ function: { name, parameters } }) => ({ name, shape: compileSchema(parameters ?? { type: 'object' }, 'tools') }))
}
