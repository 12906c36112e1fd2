// What the bench's upstream says, the same each time: what is measured is the way there and back.

const probabilities = [0.91, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01]
export const chatModel = 'echo'
const created = 1_800_000_000
const words = Array.from({ length: 32 }, (_, index) => ` word${index}`)

export function inferAnswer(items: number): Buffer {
  const data = Array.from({ length: items }, () => probabilities).flat()
  const outputs = [{ name: 'probabilities', datatype: 'FP32', shape: [items, 10], data }]
  return Buffer.from(JSON.stringify({ model_name: 'digits', model_version: '2', id: 'answer', outputs }))
}

export const inferMetadata = {
  ...{ name: 'digits', versions: ['2'], platform: 'fixed' },
  inputs: [{ name: 'image', datatype: 'FP32', shape: [-1, 28, 28, 1] }],
  outputs: [{ name: 'probabilities', datatype: 'FP32', shape: [-1, 10] }],
}

const about = { id: 'chatcmpl-1', created, model: chatModel }
const usage = { prompt_tokens: 12, completion_tokens: words.length, total_tokens: 12 + words.length }

export const chatAnswer = Buffer.from(
  JSON.stringify({
    ...{ ...about, object: 'chat.completion' },
    choices: [{ index: 0, message: { role: 'assistant', content: words.join('') }, logprobs: null, finish_reason: 'stop' }],
    usage,
  }),
)

const chunkOf = (delta: object, finish_reason: string | null = null) =>
  Buffer.from(
    `data: ${JSON.stringify({ ...about, object: 'chat.completion.chunk', choices: [{ index: 0, delta, logprobs: null, finish_reason }] })}\n\n`,
  )

/** The events of a streamed answer: one for each of 32 tokens, the end, what was used, `[DONE]`. */
export const chatEvents: readonly Buffer[] = [
  chunkOf({ role: 'assistant', content: '' }),
  ...words.map((content) => chunkOf({ content })),
  chunkOf({}, 'stop'),
  Buffer.from(`data: ${JSON.stringify({ ...about, object: 'chat.completion.chunk', choices: [], usage })}\n\n`),
  Buffer.from('data: [DONE]\n\n'),
]
