/** What the model is to read, in bytes of UTF-8: all texts of the messages, with tools and schemas; of a token, four. */
export function inputBytes(json: Readonly<Record<string, unknown>>): number {
  let bytes = 0
  for (const field of ['messages', 'prompt', 'input', 'suffix', 'tools', 'functions', 'response_format', 'prediction', 'guided_json'])
    bytes += bytesOf(json[field])
  return bytes
}

function bytesOf(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value)
  if (typeof value === 'number') return 4
  if (typeof value !== 'object' || value === null) return 0
  let bytes = 0
  if (Array.isArray(value)) for (const one of value) bytes += bytesOf(one)
  else for (const one of Object.values(value)) bytes += bytesOf(one)
  return bytes
}
