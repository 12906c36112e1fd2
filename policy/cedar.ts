import { preparsePolicySet, statefulIsAuthorized } from '@cedar-policy/cedar-wasm/nodejs'
import { LastUsed } from '../bounded/last-used.ts'
import { type Asked, askedBy, callOf, type Seen, seenOf } from './cedar-call.ts'
import { PolicyError } from './errors.ts'
import type { PolicySet } from './policy-set.ts'
import type { PolicyDecision, PolicyEngine, PolicyRequest } from './port.ts'

type Verdict = Omit<PolicyDecision, 'tookMicros'>

/** What a decision takes is mostly the way into WebAssembly and back, some 100 µs; most requests are like one before. */
const mostRemembered = 16_384

/** As many as an event holds. */
const mostNamed = 16

let engines = 0

/**
 * Cedar in this process (https://docs.cedarpolicy.com), by its WebAssembly build. Policies are parsed once. Synchronous, so that
 * {@link use} swaps them between two decisions: none is made by half of the old and half of the new.
 */
export class CedarEngine implements PolicyEngine {
  readonly #name = `cordon-${engines++}`
  /** Cedar keeps sets by name for as long as the thread lives: two names take turns, and the one not in use is empty. */
  #slot = 0
  #set: PolicySet
  #asked: Asked
  /** By all that a policy can see. */
  #remembered: LastUsed<string, Verdict>

  readonly #most: number

  /**
   * @param most decisions that it remembers
   * @throws PolicyError `POLICIES_INVALID`
   */
  constructor(set: PolicySet, most = mostRemembered) {
    this.#set = set
    this.#most = most
    this.#remembered = new LastUsed(most)
    this.#asked = askedBy([])
    this.use(set)
  }

  get version(): string {
    return this.#set.version
  }

  get policies(): PolicySet['policies'] {
    return this.#set.policies
  }

  /** Decisions in memory. */
  get remembered(): number {
    return this.#remembered.size
  }

  /**
   * Decides by these from now on.
   *
   * @throws PolicyError `POLICIES_INVALID`, and then those of before stay in force
   */
  use(set: PolicySet): void {
    const next = 1 - this.#slot
    const staticPolicies = Object.fromEntries([...set.policies].map(([id, { text }]) => [id, text]))
    const answer = preparsePolicySet(this.#slotName(next), { staticPolicies })
    if (answer.type === 'failure') {
      const reasons = answer.errors.map(({ message }) => message).join('; ')
      throw new PolicyError('POLICIES_INVALID', `taking policies ${set.version} into use: ${reasons}`)
    }
    const before = this.#slot
    this.#slot = next
    this.#set = set
    this.#asked = askedBy([...set.policies.values()].map(({ text }) => text))
    this.#remembered = new LastUsed(this.#most)
    preparsePolicySet(this.#slotName(before), { staticPolicies: {} })
  }

  decide(request: PolicyRequest): PolicyDecision {
    const began = performance.now()
    const seen = seenOf(request, this.#asked)
    const key = JSON.stringify(seen)
    const known = this.#remembered.get(key)
    const verdict = known ?? this.#judge(seen)
    if (known === undefined) this.#remembered.set(key, verdict)
    return { ...verdict, tookMicros: (performance.now() - began) * 1_000 }
  }

  #judge(seen: Seen): Verdict {
    const { version } = this.#set
    try {
      const answer = statefulIsAuthorized(callOf(seen, this.#slotName(this.#slot)))
      if (answer.type === 'failure') {
        return { allowed: false, policies: [], version, errors: answer.errors.map(({ message }) => message).slice(0, mostNamed) }
      }
      const { decision, diagnostics } = answer.response
      const errors = diagnostics.errors.map(({ policyId, error }) => `${policyId}: ${error.message}`).slice(0, mostNamed)
      const policies = diagnostics.reason.sort().slice(0, mostNamed)
      // A policy that cannot be evaluated does not count for Cedar: were it one that forbids, its failing would permit.
      return { allowed: decision === 'allow' && errors.length === 0, policies, version, errors }
    } catch (error) {
      return { allowed: false, policies: [], version, errors: [`Cedar failed: ${String(error)}`] }
    }
  }

  #slotName(slot: number): string {
    return `${this.#name}/${slot}`
  }
}
