import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ModelConfiguration, type TextConfiguration } from '../../../inference/configuration.ts'
import { openBody } from '../../../inference/server/openai/open-body.ts'
import { readRequest, type TextOperation, type TextRequest } from '../../../inference/server/openai/read-request.ts'
import { Refusal } from '../../../inference/server/refusal.ts'
import { hello } from './scripted-text.ts'

const bounds = (text: object = {}): TextConfiguration => ModelConfiguration.parse({ text }).text
const prompt = { model: 'parrot', prompt: 'once' }
const input = { model: 'parrot', input: 'once' }

function read(operation: TextOperation, body: unknown, text: object = {}): TextRequest {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  return readRequest(openBody('application/json', bytes), operation, bounds(text))
}

/** `param reason` of the refusal, or `ok`. */
function verdict(operation: TextOperation, body: unknown, text: object = {}): string {
  try {
    read(operation, body, text)
    return 'ok'
  } catch (error) {
    assert(error instanceof Refusal)
    assert.equal(error.status, 400)
    return `${error.details.param ?? '-'} ${error.details.reason}`
  }
}

function withPart(part: object): object {
  return { ...hello, messages: [{ role: 'user', content: [part] }] }
}

function withImage(url: string): object {
  const content = [
    { type: 'text', text: 'what is this?' },
    { type: 'image_url', image_url: { url } },
  ]
  return { ...hello, messages: [{ role: 'user', content }] }
}

test('the bounds of a request, field by field', () => {
  const rows: readonly (readonly [TextOperation, object, object, string])[] = [
    ['chat', hello, {}, 'ok'],
    ['chat', { ...hello, temperature: 2 }, {}, 'ok'],
    ['chat', { ...hello, temperature: 2.1 }, {}, 'temperature decimal_out_of_range'],
    ['chat', { ...hello, temperature: 0.1 }, { temperature: [0.2, 1] }, 'temperature decimal_out_of_range'],
    ['chat', { ...hello, temperature: '1' }, {}, 'temperature invalid_value'],
    ['chat', { ...hello, top_p: 1.01 }, {}, 'top_p invalid_value'],
    ['chat', { ...hello, max_tokens: 4_096 }, {}, 'ok'],
    ['chat', { ...hello, max_tokens: 4_097 }, {}, 'max_tokens integer_above_max_value'],
    ['chat', { ...hello, max_tokens: -1 }, {}, 'max_tokens invalid_value'],
    ['chat', { ...hello, max_completion_tokens: 11 }, { maxTokens: 10 }, 'max_completion_tokens integer_above_max_value'],
    ['chat', { ...hello, max_tokens: 11, max_completion_tokens: 9 }, { maxTokens: 10 }, 'max_tokens integer_above_max_value'],
    ['chat', { ...hello, n: 8 }, {}, 'ok'],
    ['chat', { ...hello, n: 9 }, {}, 'n integer_above_max_value'],
    ['chat', { ...hello, n: 0 }, {}, 'n invalid_value'],
    ['chat', { ...hello, logprobs: true, top_logprobs: 3 }, { maxTopLogprobs: 2 }, 'top_logprobs integer_above_max_value'],
    ['chat', { ...hello, messages: [...hello.messages, ...hello.messages] }, { maxMessages: 1 }, 'messages array_above_max_length'],
    ['chat', { ...hello, messages: [] }, {}, 'messages invalid_value'],
    ['chat', { model: 'parrot' }, {}, 'messages missing_required_parameter'],
    ['chat', hello, { maxInputBytes: 4 }, 'messages string_above_max_length'],
    ['chat', { ...hello, stop: ['a', 'b'] }, {}, 'ok'],
    ['chat', { ...hello, stop: Array.from({ length: 17 }, () => 'a') }, {}, 'stop invalid_value'],
    ['chat', { ...hello, logit_bias: { 50256: -100 } }, {}, 'ok'],
    ['chat', { ...hello, logit_bias: { 50256: -101 } }, {}, 'logit_bias.50256 invalid_value'],
    ['chat', { ...hello, prompt: 'x' }, {}, 'prompt unknown_parameter'],
    ['chat', { ...hello, top_k: 5 }, {}, 'top_k unknown_parameter'],
    ['chat', { ...hello, top_k: 5 }, { fields: ['top_k'] }, 'ok'],
    ['chat', { ...hello, top_k: 'many' }, { fields: ['top_k'] }, 'top_k invalid_value'],
    ['chat', { ...hello, house_field: { any: ['thing'] } }, { fields: ['house_field'] }, 'ok'],
    ['chat', { ...hello, stream: true }, { fields: ['top_k'] }, 'stream unknown_parameter'],
    ['chat', { ...hello, 'näive <script>': 1 }, {}, '- unknown_parameter'],
    ['chat', { ...hello, stream: true, stream_options: { include_usage: true, other: 1 } }, {}, 'stream_options.other unknown_parameter'],
    ['chat', { ...hello, messages: [{ role: 'user', content: 'a', colour: 1 }] }, {}, 'messages[0].colour unknown_parameter'],
    ['chat', { ...hello, messages: [{ role: 'root', content: 'a' }] }, {}, 'messages[0].role invalid_value'],
    ['chat', { ...hello, messages: [{ role: 'tool', content: 'a' }] }, {}, 'messages[0].tool_call_id invalid_value'],
    ['chat', withImage('https://a/b.png'), { remoteMedia: true }, 'ok'],
    ['chat', withPart({ type: 'file', file: { file_id: 'file-1' } }), {}, 'ok'],
    ['chat', withPart({ type: 'file', file: { file_id: 'https://a/b.pdf' } }), {}, 'messages[0].content[0] unsupported_value'],
    [
      'chat',
      withPart({ type: 'input_audio', input_audio: { data: 'http://a', format: 'wav' } }),
      {},
      'messages[0].content[0] unsupported_value',
    ],
    ['chat', withImage('data:image/png;base64,AAAA'), {}, 'ok'],
    ...['https://a/b.png', 'http://169.254.169.254/latest', 'file:///etc/passwd', ' data:,', '//a', 'x'].map(
      (url) => ['chat', withImage(url), {}, 'messages[0].content[1] unsupported_value'] as const,
    ),
    [
      'chat',
      { ...hello, messages: [{ role: 'user', content: [{ type: 'video_url', video_url: { url: 'http://a' } }] }] },
      {},
      'messages[0].content[0] unsupported_value',
    ],
    ['chat', { ...hello, messages: [{ role: 'user', content: [{ type: 'spell' }] }] }, {}, 'messages[0].content invalid_value'],
    ['chat', { ...hello, reasoning_effort: 'low', metadata: { a: 'b' }, response_format: { type: 'json_object' } }, {}, 'ok'],
    ['completion', prompt, {}, 'ok'],
    ['completion', { ...prompt, prompt: ['a', 'b'], n: 4 }, {}, 'ok'],
    ['completion', { ...prompt, prompt: ['a', 'b', 'c'], n: 3 }, {}, 'prompt array_above_max_length'],
    ['completion', { ...prompt, best_of: 9 }, {}, 'best_of integer_above_max_value'],
    ['completion', { ...prompt, logprobs: 21 }, {}, 'logprobs integer_above_max_value'],
    ['completion', { ...prompt, prompt: [1, 2, 3], echo: true, suffix: '.' }, {}, 'ok'],
    ['completion', { ...prompt, prompt: [1, 'a'] }, {}, 'prompt invalid_value'],
    ['completion', { ...prompt, messages: [] }, {}, 'messages unknown_parameter'],
    ['embedding', { ...input, input: ['a', 'b'], dimensions: 8, encoding_format: 'base64' }, {}, 'ok'],
    ['embedding', { ...input, input: ['a', 'b'] }, { maxEmbeddings: 1 }, 'input array_above_max_length'],
    ['embedding', { ...input, input: [] }, {}, 'input invalid_value'],
    ['embedding', { ...input, input: [[1], [2, 3]] }, {}, 'ok'],
    ['embedding', { ...input, stream: true }, {}, 'stream unknown_parameter'],
  ]
  for (const [operation, body, text, expected] of rows) {
    assert.equal(verdict(operation, body, text), expected, `${operation} ${JSON.stringify(body)} under ${JSON.stringify(text)}`)
  }
})

test('an answer may be sent back as it came', () => {
  const spoken = {
    role: 'assistant',
    content: null,
    refusal: null,
    annotations: [],
    audio: null,
    function_call: null,
    reasoning_content: 'hm',
  }
  const call = { id: 'call_1', type: 'function', function: { name: 'add', arguments: '{}' } }
  const messages = [...hello.messages, { ...spoken, tool_calls: [call] }, { role: 'tool', tool_call_id: 'call_1', content: '3' }]
  assert.equal(verdict('chat', { ...hello, messages }), 'ok')
})

test('bytes are forwarded as they came, and written anew where a default applies', () => {
  const odd = `{ "messages" : [{"role":"user","content":"h\\u0065llo"}],\n"model":"parrot", "temperature": 1.0 }`
  assert.equal(read('chat', odd).body.toString(), odd)
  const limited = read('chat', odd, { defaultTokens: 16 })
  assert.equal(limited.sampling?.maxTokens, 16)
  assert.deepEqual(JSON.parse(limited.body.toString()), { ...JSON.parse(odd), max_tokens: 16 })
  const own = read('chat', { ...hello, max_completion_tokens: 5 }, { defaultTokens: 16 })
  assert.deepEqual([own.sampling?.maxTokens, 'max_tokens' in own.json], [5, false])
})

test('a name that comes twice is forwarded as it was checked', () => {
  const twice = '{"model":"parrot","max_tokens":100000,"messages":[{"role":"user","content":"a: \\"b\\", {"}],"max_tokens":5}'
  assert.equal(read('chat', twice).body.toString(), JSON.stringify(JSON.parse(twice)))
  const nested = '{"model":"parrot","messages":[{"role":"user","content":"a","content":"b"}]}'
  assert.deepEqual(JSON.parse(read('chat', nested).body.toString()).messages, [{ role: 'user', content: 'b' }])
})

test('what is no request at all is refused before it costs much', () => {
  const rows: readonly (readonly [string | Buffer, string])[] = [
    ['', '- invalid_json'],
    ['[]', '- invalid_json'],
    ['{"model":', '- invalid_json'],
    ['{"model":"parrot","__proto__":{"a":1}}', '- invalid_json'],
    ['['.repeat(100_000), '- invalid_json'],
    [`{"model":"parrot","messages":[${'1,'.repeat(20_000)}1]}`, '- invalid_value'],
    [Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), '- invalid_json'],
    ['{"messages":[]}', 'model missing_required_parameter'],
    ['{"model":7,"messages":[]}', 'model invalid_value'],
  ]
  for (const [body, expected] of rows) {
    try {
      openBody(undefined, Buffer.from(body))
      assert.fail('it was taken')
    } catch (error) {
      assert(error instanceof Refusal)
      assert.equal(`${error.details.param ?? '-'} ${error.details.reason}`, expected)
    }
  }
  assert.throws(() => openBody('text/plain', Buffer.from('{}')), { code: 'MEDIA_TYPE' })
})

test('tools: allowed by name, and strict where the model wants it', () => {
  const tool = (name: string, parameters: unknown) => ({ type: 'function', function: { name, parameters } })
  const strict = { type: 'object', properties: { a: { type: 'number' } }, required: ['a'], additionalProperties: false }
  const offer = (...tools: object[]) => ({ ...hello, tools })
  const named = { type: 'function', function: { name: 'sub' } }
  const rows: readonly (readonly [object, object, string])[] = [
    [offer(tool('add', {})), {}, 'ok'],
    [offer(tool('add', {})), { tools: { allow: ['add'] } }, 'ok'],
    [offer(tool('rm', {})), { tools: { allow: ['add'] } }, 'tools[0].function.name tool_not_allowed'],
    [{ ...hello, functions: [{ name: 'rm' }] }, { tools: { allow: ['add'] } }, 'functions[0].name tool_not_allowed'],
    [offer(tool('add', {}), tool('add', {})), {}, 'tools invalid_value'],
    [{ ...offer(tool('add', {})), tool_choice: named }, {}, 'tool_choice invalid_value'],
    [{ ...offer(tool('sub', {})), tool_choice: named }, {}, 'ok'],
    [offer(tool('add', strict)), { tools: { strict: true } }, 'ok'],
    [offer(tool('add', {})), { tools: { strict: true } }, 'tools[0].function.parameters invalid_function_parameters'],
    [
      offer(tool('add', { ...strict, required: [] })),
      { tools: { strict: true } },
      'tools[0].function.parameters invalid_function_parameters',
    ],
    [
      offer(tool('add', { ...strict, additionalProperties: true })),
      { tools: { strict: true } },
      'tools[0].function.parameters invalid_function_parameters',
    ],
    [
      offer(tool('add', { ...strict, properties: { a: { $ref: 'https://evil.example/schema' } } })),
      { tools: { strict: true } },
      'tools[0].function.parameters invalid_function_parameters',
    ],
    [
      offer(tool('add', { ...strict, properties: { a: { type: 'string', pattern: '(a+)+$' } } })),
      { tools: { strict: true } },
      'tools[0].function.parameters invalid_function_parameters',
    ],
    [{ ...hello, functions: [{ name: 'add' }] }, { tools: { strict: true } }, 'functions unknown_parameter'],
  ]
  for (const [body, text, expected] of rows) assert.equal(verdict('chat', body, text), expected, JSON.stringify(body))
})
