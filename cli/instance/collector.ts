import { tokenCheck } from '../../console/token.ts'
import { collector } from '../../ingest/collector.ts'
import type { Context } from './context.ts'
import { bareListener } from './health.ts'
import { listening, urlOf } from './listen.ts'

/** The collector on a listener of its own. */
export async function serveCollector(context: Context, token: string): Promise<string> {
  const { bus, clock, log, instance, config } = context
  const { host, port } = config.ingest
  const app = bareListener(context)
  const isToken = tokenCheck(token)
  const authorise = ({ headers }: { headers: { authorization?: string | undefined } }) => isToken(headers.authorization)
  await app.register(collector({ bus, clock, log, source: instance, authorise }))
  await listening('ingest', { host, port }, () => app.listen({ host, port }))
  return urlOf(app, host)
}
