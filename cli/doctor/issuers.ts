import { z } from 'zod'
import { type IssuerSettings, isSafe } from '../../access/oidc/settings.ts'
import { span } from '../output.ts'
import { type Check, type DoctorContext, type Result, reasonOf } from './check.ts'
import { apart } from './clock-reading.ts'
import { jsonOf, reach } from './reach.ts'

const Discovery = z.object({ issuer: z.string(), jwks_uri: z.url() })
const Keys = z.object({
  keys: z.array(z.object({ kty: z.string(), use: z.string().optional(), alg: z.string().optional(), crv: z.string().optional() })).max(100),
})

/** What signatures a key can make (RFC 7518, RFC 8037). */
const signs: Readonly<Record<string, RegExp>> = { RSA: /^(RS|PS)/, EC: /^ES/, OKP: /^Ed/ }

/** What was wrong on the way, and what to do. */
class Wrong extends Error {
  readonly advice: string
  constructor(message: string, advice: string) {
    super(message)
    this.advice = advice
  }
}

/** That an issuer answers as the node will ask it, is who we take it for, and has keys that count. */
export function issuerCheck(settings: IssuerSettings): Check {
  const { alias } = settings
  return {
    id: `issuer:${alias}`,
    title: `Issuer ${alias}`,
    deadlineMs: 15_000,
    run: async (context) => {
      try {
        return await look(settings, context)
      } catch (error) {
        const advice =
          error instanceof Wrong ? error.advice : 'see whether this machine may reach it; until then its tokens are refused with 503'
        return { status: 'fail', found: reasonOf(error), advice }
      }
    },
  }
}

async function look(settings: IssuerSettings, context: DoctorContext): Promise<Result> {
  const { alias, algorithms, clockSkewMs } = settings
  const clockOf = `issuer ${alias}`
  const keysAt = settings.jwks ?? (await discover(settings, context, clockOf))
  const published = Keys.safeParse(await documentAt(keysAt, context, clockOf))
  if (!published.success) throw new Wrong(`${keysAt} answers no key set`, 'correct jwks, or leave it out and let discovery find it')
  const signing = published.data.keys.filter(({ kty, use }) => signs[kty] !== undefined && use !== 'enc')
  const usable = signing.filter(({ kty, alg }) =>
    algorithms.some((one) => signs[kty]?.test(one) === true && (alg === undefined || alg === one)),
  )
  if (usable.length === 0) {
    const has = [...new Set(signing.map(({ kty, alg }) => alg ?? kty))].join(', ') || 'none that sign'
    throw new Wrong(
      `its ${published.data.keys.length} keys (${has}) make no signature of ${algorithms.join(', ')}`,
      `add what it signs with to algorithms of ${alias}`,
    )
  }
  const clock = context.clocks.get(clockOf)
  if (clock !== undefined && apart(clock) > clockSkewMs) {
    const way = clock.offsetMs > 0 ? 'ahead of' : 'behind'
    throw new Wrong(
      `its clock is ${span(Math.abs(clock.offsetMs))} ${way} ours, and ${span(clockSkewMs)} are borne (clockSkewMs): its tokens are refused`,
      'set the clock of this machine by NTP; or it is the other one that is wrong',
    )
  }
  return { status: 'ok', found: `${settings.issuer}, ${usable.length} keys` }
}

/** Where its keys are. */
async function discover({ alias, issuer, discovery }: IssuerSettings, context: DoctorContext, clockOf: string): Promise<string> {
  const url = discovery ?? `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const found = Discovery.safeParse(await documentAt(url, context, clockOf))
  if (!found.success) throw new Wrong(`${url} answers no discovery document`, `correct issuer or discovery of ${alias}`)
  const { issuer: says, jwks_uri: keysAt } = found.data
  if (says !== issuer)
    throw new Wrong(
      `its discovery document is of ${JSON.stringify(says)}, and the configuration has ${JSON.stringify(issuer)}`,
      `write issuer of ${alias} exactly as the tokens have it, the / at the end included`,
    )
  if (!isSafe(keysAt)) throw new Wrong('its keys are not at an https address', 'have it publish them over https')
  return keysAt
}

async function documentAt(url: string, context: DoctorContext, clockOf: string): Promise<unknown> {
  const { status, body } = await reach(url, context, { clockOf }).catch((error: unknown) => {
    throw new Error(`${url}: ${reasonOf(error)}`, { cause: error })
  })
  if (status !== 200) throw new Wrong(`${url} answers ${status}`, 'correct the address; what it redirects to is not followed')
  return jsonOf(body)
}
