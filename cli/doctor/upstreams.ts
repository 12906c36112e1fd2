import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { PoolConfiguration, UpstreamConfiguration } from '../../inference/configuration.ts'
import { type Check, type DoctorContext, type Result, reasonOf } from './check.ts'
import { jsonOf, reach } from './reach.ts'

const Listed = z.object({ data: z.array(z.object({ id: z.string() })).max(10_000) })

/** That each endpoint of a pool answers the question that the node will ask it again and again. */
export function upstreamCheck(pool: PoolConfiguration, upstream: UpstreamConfiguration): Check {
  return {
    id: `upstream:${pool.name}`,
    title: `Upstream of ${pool.name}`,
    run: async (context) => {
      const { token, ca } = credentials(upstream)
      const asked = upstream.endpoints.map((endpoint) => ask(pool, upstream, endpoint, { token, ca }, context))
      return judgeEndpoints(await Promise.all(asked))
    },
  }
}

/** One endpoint of several may be away; nobody is served when all are. */
export function judgeEndpoints(results: readonly Result[]): Result {
  const ill = results.filter(({ status }) => status !== 'ok')
  if (ill.length === 0) return { status: 'ok', found: `${results.length} of ${results.length} endpoints answer` }
  const all = ill.filter(({ status }) => status === 'fail').length === results.length
  return {
    status: all ? 'fail' : 'warn',
    found: ill.map(({ found }) => found).join('; '),
    advice: ill[0]?.advice ?? 'start it, or correct endpoints of the pool',
  }
}

function credentials({ tokenFile, caFile }: UpstreamConfiguration): { token: string | null; ca: string | undefined } {
  return {
    token: tokenFile === null ? null : readFileSync(tokenFile, 'utf8').trim(),
    ca: caFile === null ? undefined : readFileSync(caFile, 'utf8'),
  }
}

async function ask(
  { models }: PoolConfiguration,
  { protocol, names, health }: UpstreamConfiguration,
  endpoint: string,
  { token, ca }: { token: string | null; ca: string | undefined },
  context: DoctorContext,
): Promise<Result> {
  const { host } = new URL(endpoint)
  const path = health.path ?? (protocol === 'oip' ? '/v2/health/ready' : '/v1/models')
  const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` }
  try {
    const { status, body } = await reach(endpoint.replace(/\/+$/, '') + path, context, { headers, ca, clockOf: host })
    if (status === 401 || status === 403)
      return {
        status: 'fail',
        found: `${host} refuses our token (${status})`,
        advice: "put the upstream's token into a file, mode 0600, and name it as tokenFile",
      }
    if (status < 200 || status > 299) return { status: 'fail', found: `${host}${path} answers ${status}` }
    const listed = protocol === 'openai' && health.path === null ? Listed.safeParse(jsonOf(body)) : undefined
    const there = listed?.success === true ? new Set(listed.data.data.map(({ id }) => id)) : undefined
    const lacking = models.map((model) => names[model] ?? model).filter((name) => there?.has(name) === false)
    if (lacking.length === 0) return { status: 'ok', found: `${host} answers` }
    return {
      status: 'warn',
      found: `${host} does not list ${lacking.join(', ')}`,
      advice: 'say under names of the pool what the upstream calls the model',
    }
  } catch (error) {
    return { status: 'fail', found: `${host}: ${reasonOf(error)}` }
  }
}
