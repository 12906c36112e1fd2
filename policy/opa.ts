import { Pool } from 'undici'
import { z } from 'zod'
import type { Instant } from '../schemas/index.ts'
import type { PolicyDecision, PolicyEngine, PolicyRequest } from './port.ts'

export interface OpaOptions {
  /** Base address, such as http://127.0.0.1:8181. */
  readonly url: string
  /** Of the document that decides, such as `cordon/decision` for `package cordon` with a rule `decision`. */
  readonly path: string
  /** Bearer token that it wants; null is none. */
  readonly token: string | null
  /** How long a decision may take in all. */
  readonly deadlineMs: number
  readonly clock: () => Instant
  /** Failures in a row until it is left alone for a while. Default 5. */
  readonly failures?: number
  /** How long. Default 1,000 ms; then one request tries it. */
  readonly restMs?: number
  readonly connections?: number
  /** Told the reason of the last failure as it begins to be left alone, once; and null when it decides again. */
  readonly onAway?: (reason: string | null) => void
}

const maxAnswerBytes = 65_536
const mostNamed = 16
const longestName = 128

/** A rule that only says yes or no, or one that says who decided too. */
const Result = z.union([
  z.boolean().transform((allow) => ({ allow, policies: [] as string[] })),
  z.object({ allow: z.boolean(), policies: z.array(z.string()).default([]) }),
])

/** https://www.openpolicyagent.org/docs/rest-api#get-a-document-with-input. Without `result` the document is undefined. */
const Answer = z.object({
  result: Result.optional(),
  decision_id: z.string().max(128).optional(),
  provenance: z
    .object({ revision: z.string().optional(), bundles: z.record(z.string(), z.object({ revision: z.string().optional() })).optional() })
    .optional(),
})
type Answer = z.infer<typeof Answer>

/**
 * The Open Policy Agent, by its REST data API. What it does not answer well and in time is not allowed, and `errors` says
 * `policy engine away` first and why after that.
 */
export class OpaEngine implements PolicyEngine {
  readonly #options: Required<Omit<OpaOptions, 'onAway'>> & Pick<OpaOptions, 'onAway'>
  readonly #pool: Pool
  readonly #path: string
  readonly #headers: Readonly<Record<string, string>>
  #version = ''
  #failures = 0
  /** Nobody asks it before. */
  #restsUntil: Instant = 0
  #trying = false
  #isAway = false

  constructor(options: OpaOptions) {
    this.#options = { failures: 5, restMs: 1_000, connections: 16, ...options }
    const { origin, pathname } = new URL(options.url)
    this.#pool = new Pool(origin, { connections: this.#options.connections, pipelining: 1, connect: { timeout: options.deadlineMs } })
    const path = options.path.split('/').map(encodeURIComponent).join('/')
    this.#path = `${pathname.replace(/\/$/, '')}/v1/data/${path}?provenance=true`
    const type = { 'content-type': 'application/json' }
    this.#headers = options.token === null ? type : { ...type, authorization: `Bearer ${options.token}` }
  }

  /** Revision of its bundles as it said last; empty before the first answer, and where it has none. */
  get version(): string {
    return this.#version
  }

  async decide(request: PolicyRequest): Promise<PolicyDecision> {
    const began = performance.now()
    const took = () => (performance.now() - began) * 1_000
    const resting = this.#rests()
    if (resting !== null) return this.#away(resting, took())
    try {
      const answer = await this.#ask(request)
      this.#answered()
      return { ...this.#decided(answer), tookMicros: took() }
    } catch (error) {
      const reason = reasonOf(error)
      this.#failed(reason)
      return this.#away(reason, took())
    } finally {
      this.#trying = false
    }
  }

  close(): Promise<void> {
    return this.#pool.destroy()
  }

  /** After its rest one request tries it, and the others go on without. */
  #rests(): string | null {
    const { failures, clock } = this.#options
    if (this.#failures < failures) return null
    if (clock() < this.#restsUntil || this.#trying) return `it failed ${this.#failures} times in a row and is left alone`
    this.#trying = true
    return null
  }

  #failed(reason: string): void {
    const { failures, clock, restMs, onAway } = this.#options
    this.#failures++
    if (this.#failures < failures) return
    this.#restsUntil = clock() + restMs
    if (this.#isAway) return
    this.#isAway = true
    onAway?.(reason)
  }

  #answered(): void {
    this.#failures = 0
    if (!this.#isAway) return
    this.#isAway = false
    this.#options.onAway?.(null)
  }

  async #ask(input: PolicyRequest): Promise<Answer> {
    const signal = AbortSignal.timeout(this.#options.deadlineMs)
    const { statusCode, body } = await this.#pool.request({
      method: 'POST',
      path: this.#path,
      headers: this.#headers,
      body: JSON.stringify({ input }),
      signal,
    })
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of body) {
      const part = Buffer.from(chunk)
      bytes += part.length
      if (bytes > maxAnswerBytes) throw new RangeError(`its answer has more than ${maxAnswerBytes} bytes`)
      chunks.push(part)
    }
    if (statusCode !== 200) throw new RangeError(`it answered ${statusCode}`)
    const parsed = Answer.safeParse(JSON.parse(Buffer.concat(chunks).toString()))
    if (!parsed.success) throw new RangeError('its answer is not what its API says')
    return parsed.data
  }

  #decided({ result, decision_id: decisionId, provenance }: Answer): Omit<PolicyDecision, 'tookMicros'> {
    this.#version = revisionOf(provenance) ?? this.#version
    const id = decisionId === undefined ? {} : { decisionId }
    const version = this.#version
    if (result === undefined) {
      return { allowed: false, policies: [], version, errors: [`${this.#options.path} is undefined for this input`], ...id }
    }
    const policies = result.policies.slice(0, mostNamed).map((name) => name.slice(0, longestName))
    return { allowed: result.allow, policies, version, errors: [], ...id }
  }

  #away(reason: string, tookMicros: number): PolicyDecision {
    return { allowed: false, policies: [], version: this.#version, errors: ['policy engine away', reason], tookMicros }
  }
}

function revisionOf(provenance: Answer['provenance']): string | null {
  const revisions = Object.values(provenance?.bundles ?? {}).flatMap(({ revision }) => revision ?? [])
  const found = revisions.length > 0 ? revisions.sort().join(',') : provenance?.revision
  return found === undefined || found === '' ? null : found.slice(0, 64)
}

function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return 'it did not answer in time'
  return error instanceof Error ? error.message : String(error)
}
