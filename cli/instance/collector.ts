import { createHash, timingSafeEqual } from 'node:crypto'
import { collector } from '../../ingest/collector.ts'
import type { Context } from './context.ts'
import { bareListener } from './health.ts'
import { listening, urlOf } from './listen.ts'

/** The collector on a listener of its own. */
export async function serveCollector(context: Context, token: string): Promise<string> {
  const { bus, clock, log, instance, config } = context
  const { host, port } = config.ingest
  const app = bareListener(context)
  const expected = digest(token)
  const authorise = ({ headers }: { headers: { authorization?: string | undefined } }) => {
    const given = /^Bearer ([\x21-\x7e]{1,512})$/.exec(headers.authorization ?? '')?.[1]
    // Digests, so that lengths are equal whatever was sent.
    return given !== undefined && timingSafeEqual(digest(given), expected)
  }
  await app.register(collector({ bus, clock, log, source: instance, authorise }))
  await listening('ingest', { host, port }, () => app.listen({ host, port }))
  return urlOf(app, host)
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
