import type { z } from 'zod'
import type { Chat } from './fields.ts'
import { invalid } from './invalid.ts'
import type { Part } from './messages.ts'

/**
 * Media must be in the request itself: an address would have the model's server fetch it, with what that reaches: metadata of
 * the cloud, files, other tenants.
 *
 * @throws Refusal `MALFORMED`, with the field in `param`
 */
export function checkMedia({ messages }: Chat): void {
  for (const [at, { content }] of messages.entries()) {
    if (!Array.isArray(content)) continue
    const index = content.findIndex(isElsewhere)
    if (index === -1) continue
    const where = `messages[${at}].content[${index}]`
    throw invalid(where, 'unsupported_value', 'send media as data: URLs; addresses are not fetched for clients')
  }
}

/** A URL must be of data exactly so: other parsers take blanks and capitals for something else. Some servers take one for a file's id. */
function isElsewhere(part: z.infer<typeof Part>): boolean {
  switch (part.type) {
    case 'image_url':
      return !part.image_url.url.startsWith('data:')
    case 'audio_url':
      return !part.audio_url.url.startsWith('data:')
    case 'video_url':
      return !part.video_url.url.startsWith('data:')
    case 'file':
      return [part.file.file_id, part.file.file_data].some((value) => value?.includes('://') === true)
    case 'input_audio':
      return part.input_audio.data.includes('://')
    default:
      return false
  }
}
