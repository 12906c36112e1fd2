import { Agent, request } from 'undici'
import { AccessError } from '../errors.ts'

/** Bytes of a discovery document or a key set; ours have a few thousand. */
const maxBytes = 262_144

/** Fetches JSON documents of issuers. */
export interface Downloads {
  /** Rejects on anything but 200 with JSON within the bounds; redirects are not followed. */
  download(url: string, withinMs: number): Promise<unknown>
  close(): Promise<void>
}

export function openDownloads(): Downloads {
  const dispatcher = new Agent({ maxResponseSize: maxBytes, connections: 2, pipelining: 1 })
  return {
    download: async (url, withinMs) => {
      // Of the whole, however slowly its bytes drip.
      const signal = AbortSignal.timeout(withinMs)
      const { statusCode, body } = await request(url, { dispatcher, signal, headers: { accept: 'application/json' } })
      const text = await body.text()
      if (statusCode !== 200) throw new AccessError('ISSUER_UNUSABLE', `Fetching ${url}: it answered ${statusCode} where 200 was expected.`)
      return JSON.parse(text)
    },
    close: () => dispatcher.destroy(),
  }
}
