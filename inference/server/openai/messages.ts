import { z } from 'zod'

/** Sizes of texts and data are bounded together, by the model's `maxInputBytes`; here is the shape. */
const text = z.string()
const id = z.string().max(256)
const name = z.string().max(128)
/** Addresses go to the upstream as they are: the node fetches none. Data URLs are as long as images are. */
const url = z.string().max(16_777_216)

export const Part = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text'), text }),
  z.strictObject({ type: z.literal('refusal'), refusal: text }),
  z.strictObject({
    type: z.literal('image_url'),
    image_url: z.strictObject({ url, detail: z.enum(['auto', 'low', 'high', 'original']).nullish() }),
  }),
  z.strictObject({ type: z.literal('input_audio'), input_audio: z.strictObject({ data: text, format: z.string().max(16) }) }),
  z.strictObject({ type: z.literal('audio_url'), audio_url: z.strictObject({ url }) }),
  z.strictObject({ type: z.literal('video_url'), video_url: z.strictObject({ url }) }),
  z.strictObject({
    type: z.literal('file'),
    file: z.strictObject({ file_data: text.nullish(), file_id: id.nullish(), filename: name.nullish() }),
  }),
])
const content = z.union([text, z.array(Part).max(1_024)])

const calledFunction = z.strictObject({ name, arguments: text })
const toolCall = z.discriminatedUnion('type', [
  z.strictObject({ id, type: z.literal('function'), function: calledFunction, index: z.int().min(0).optional() }),
  z.strictObject({ id, type: z.literal('custom'), custom: z.strictObject({ name, input: text }), index: z.int().min(0).optional() }),
])

const instruction = { content, name: name.nullish() }

/** One message of a chat. An answer's message may be sent back as it came, with the fields that servers put there. */
export const Message = z.discriminatedUnion('role', [
  z.strictObject({ role: z.literal('user'), ...instruction }),
  z.strictObject({ role: z.literal('system'), ...instruction }),
  z.strictObject({ role: z.literal('developer'), ...instruction }),
  z.strictObject({
    role: z.literal('assistant'),
    content: content.nullish(),
    name: name.nullish(),
    refusal: text.nullish(),
    tool_calls: z.array(toolCall).max(128).nullish(),
    function_call: calledFunction.nullish(),
    audio: z.looseObject({ id }).nullish(),
    annotations: z.array(z.unknown()).max(1_024).nullish(),
    reasoning: text.nullish(),
    reasoning_content: text.nullish(),
    parsed: z.unknown().optional(),
  }),
  z.strictObject({ role: z.literal('tool'), content, tool_call_id: id, name: name.nullish() }),
  z.strictObject({ role: z.literal('function'), content: text.nullable(), name }),
])

/** A tool's schema, or an answer's: any JSON object; what `strict` asks of it is checked in tool-schema.ts. */
const anySchema = z.record(z.string(), z.unknown())

const functionTool = z.strictObject({
  type: z.literal('function'),
  function: z.strictObject({
    name,
    description: text.nullish(),
    parameters: anySchema.nullish(),
    strict: z.boolean().nullish(),
  }),
})
const customTool = z.strictObject({
  type: z.literal('custom'),
  custom: z.strictObject({ name, description: text.nullish(), format: z.looseObject({ type: z.string().max(32) }).nullish() }),
})
export const Tool = z.discriminatedUnion('type', [functionTool, customTool])
export type Tool = z.infer<typeof Tool>

/** The older way to offer functions. */
export const OfferedFunction = z.strictObject({ name, description: text.nullish(), parameters: anySchema.nullish() })

const chosen = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('function'), function: z.strictObject({ name }) }),
  z.strictObject({ type: z.literal('custom'), custom: z.strictObject({ name }) }),
])
export const ToolChoice = z.union([
  z.enum(['none', 'auto', 'required']),
  chosen,
  z.strictObject({
    type: z.literal('allowed_tools'),
    allowed_tools: z.strictObject({ mode: z.enum(['auto', 'required']), tools: z.array(chosen).max(128) }),
  }),
])
export const FunctionChoice = z.union([z.enum(['none', 'auto']), z.strictObject({ name })])

export const ResponseFormat = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object') }),
  z.strictObject({
    type: z.literal('json_schema'),
    json_schema: z.strictObject({ name, description: text.nullish(), schema: anySchema.optional(), strict: z.boolean().nullish() }),
  }),
])
