import { type Hardener, harden } from '../../inference/server/harden.ts'
import type { HostedDetector } from '../../pipeline/host/hosted.ts'
import { type EventOf, type Finding, type Hardening, type Instant, isGap } from '../../schemas/index.ts'
import type { Answer } from '../attacks/oracle.ts'
import type { Observed } from '../lab/victim.ts'
import { Detection } from './detection.ts'
import { type Caller, fingerprintEvent, requestEvent, start } from './events.ts'
import { Response, type ResponseOptions, type Verdict } from './response.ts'

export interface ArenaOptions extends ResponseOptions {
  readonly detectors: readonly HostedDetector[]
  /** Of the model that answers. */
  readonly version: string
}

/** One query that somebody asks: the image is seen by the victim only where the gate lets it in. */
export type See = () => Observed | Promise<Observed>

/** What the arena knows of a principal. */
export interface Standing {
  /** Requests let in. */
  answered: number
  refused: number
  /** Answers by how much of them left. */
  readonly degrees: Record<Hardening, number>
  /** Findings that named it with confidence enough to be acted on, and those that were only notices. Gaps do not count. */
  findings: number
  notices: number
  /** The highest of both. */
  confidence: number
  /** Its first request that was refused or hardened by a lease. */
  containedAt: Instant | null
  refusedAt: Instant | null
}

export interface Reply {
  readonly answer: Answer
  readonly hardening: Hardening
  /** What was stated because of this request, gaps left out. */
  readonly findings: readonly Finding[]
}

export interface PromptReply {
  readonly refused: boolean
  readonly hardened: boolean
  /** What was stated because of this prompt, gaps left out. */
  readonly findings: readonly Finding[]
}

/** A model with its node, detectors and responders, in memory and in virtual time. */
export class Arena {
  readonly #detection: Detection
  readonly #response: Response
  readonly #version: string
  readonly #principals = new Map<string, Standing>()
  readonly #findings: Finding[] = []
  #now: Instant = start
  #events = 0

  constructor(options: ArenaOptions) {
    this.#detection = new Detection(options.detectors)
    this.#response = new Response(options)
    this.#response.reach(this.#now)
    this.#version = options.version
  }

  get now(): Instant {
    return this.#now
  }

  get findings(): readonly Finding[] {
    return this.#findings
  }

  get faults(): readonly string[] {
    return this.#detection.faults
  }

  /** Actions that the guard kept for a person. */
  get waiting(): number {
    return this.#response.waiting
  }

  standing(principal: string): Standing {
    let standing = this.#principals.get(principal)
    if (standing === undefined) {
      const degrees = { none: 0, rounded: 0, 'top-k': 0, 'label-only': 0 }
      standing = { answered: 0, refused: 0, degrees, findings: 0, notices: 0, confidence: 0, containedAt: null, refusedAt: null }
      this.#principals.set(principal, standing)
    }
    return standing
  }

  /** Time goes on by so much; what asked to be woken is woken at its time. */
  async wait(ms: number): Promise<void> {
    // Instants are whole milliseconds, and the parts of a second need not be.
    const until = Math.ceil(this.#now + ms)
    for (let wake = this.#detection.nextWake; wake !== null && wake < until; wake = this.#detection.nextWake) await this.#reach(wake)
    await this.#reach(until)
  }

  /** One request, now. */
  async ask(caller: Caller, see: See): Promise<Reply> {
    const at = this.#now
    const n = this.#events++
    const { principal } = caller
    const standing = this.standing(principal)
    const verdict = this.#response.gate({ principal, organization: null, keyId: null, model: 'digits' }, at)
    if (!verdict.admitted) {
      const { status, retryAfterMs, lease } = verdict
      standing.refused++
      standing.refusedAt ??= at
      standing.containedAt ??= at
      const findings = await this.#tell({ n, at, caller, hardening: 'none', answered: false }, { status, lease, confidence: null })
      return { answer: { refused: true, status, retryAfterMs }, hardening: 'none', findings }
    }
    const { fingerprint, probabilities } = await see()
    const around = this.#response.around({ model: 'digits', principal }, fingerprint, at)
    if (around !== null && !around.admitted) return this.#refuse({ n, at, caller, hardening: 'none', answered: false }, around, fingerprint)
    const hardener = verdict.hardening?.hardener
    const hardening: Hardening = hardener?.level ?? 'none'
    if (hardener !== undefined) standing.containedAt ??= at
    standing.answered++
    standing.degrees[hardening]++
    const about = { n, at, caller, hardening, answered: true }
    const lease = verdict.hardening?.lease ?? null
    const findings = [
      ...(await this.#tell(about, { status: 200, lease, confidence: fingerprint.output.confidence })),
      ...(await this.#state(this.#detection.observe(fingerprintEvent(about, this.#version, fingerprint)))),
    ]
    return {
      answer: { refused: false, label: fingerprint.output.label, probabilities: told(probabilities, hardener) },
      hardening,
      findings,
    }
  }

  /** What is refused for what it lies near has been seen all the same. */
  async #refuse(
    about: Parameters<typeof requestEvent>[0],
    { status, retryAfterMs, lease }: Extract<Verdict, { readonly admitted: false }>,
    fingerprint: Observed['fingerprint'],
  ): Promise<Reply> {
    const standing = this.standing(about.caller.principal)
    standing.refused++
    standing.refusedAt ??= about.at
    standing.containedAt ??= about.at
    const findings = [
      ...(await this.#tell(about, { status, lease, confidence: null })),
      ...(await this.#state(this.#detection.observe(fingerprintEvent(about, this.#version, fingerprint)))),
    ]
    return { answer: { refused: true, status, retryAfterMs }, hardening: 'none', findings }
  }

  /** One prompt, now; `make` gives its event where the gate lets it in. */
  async prompt(principal: string, model: string, make: (at: Instant, n: number) => EventOf<'prompt'>): Promise<PromptReply> {
    const at = this.#now
    const standing = this.standing(principal)
    const verdict = this.#response.gate({ principal, organization: null, keyId: null, model }, at)
    if (!verdict.admitted || verdict.hardening !== undefined) standing.containedAt ??= at
    if (!verdict.admitted) {
      standing.refused++
      standing.refusedAt ??= at
      return { refused: true, hardened: false, findings: [] }
    }
    standing.answered++
    const hardening = verdict.hardening?.hardener.level ?? 'none'
    standing.degrees[hardening]++
    const event = make(at, this.#events++)
    const findings = await this.#state(this.#detection.observe({ ...event, data: { ...event.data, hardening } }))
    return { refused: false, hardened: hardening !== 'none', findings }
  }

  async #reach(at: Instant): Promise<void> {
    this.#now = Math.max(this.#now, at)
    this.#response.reach(this.#now)
    await this.#state(this.#detection.reach(this.#now))
  }

  async #tell(about: Parameters<typeof requestEvent>[0], what: Parameters<typeof requestEvent>[2]): Promise<readonly Finding[]> {
    if (!this.#detection.reads('request')) return []
    return this.#state(this.#detection.observe(requestEvent(about, this.#version, what)))
  }

  async #state(findings: readonly Finding[]): Promise<readonly Finding[]> {
    const attacks = findings.filter((finding) => !isGap(finding))
    for (const finding of attacks) {
      this.#findings.push(finding)
      for (const principal of finding.principals) {
        const standing = this.standing(principal)
        if (isAlarm(finding)) standing.findings++
        else standing.notices++
        standing.confidence = Math.max(standing.confidence, finding.confidence)
      }
      await this.#response.consider(finding)
    }
    return attacks
  }
}

/** Below it the default playbook does nothing, and nobody is called: a notice. */
const leastConfidence = 0.5

export function isAlarm({ confidence }: Finding): boolean {
  return confidence >= leastConfidence
}

/** The answer as it leaves: whole, rounded, or the label alone. */
function told(probabilities: Float32Array, hardener: Hardener | undefined): Float32Array {
  return hardener === undefined ? probabilities : Float32Array.from(harden(probabilities, probabilities.length, hardener))
}
