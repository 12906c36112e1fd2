import { type Finding, type Instant, type Risk, riskAt } from '../../schemas/index.ts'

/** 0.95 is 0.9 after half an hour, 0.7 after two hours and a half, and forgotten after a day. */
const halfLifeMs = 6 * 60 * 60 * 1_000
const halfLives = 4

/** How risky each principal is by the findings about it. Pure; what it returns is to be put on the log. */
export class RiskBook {
  readonly #most: number
  readonly #risks = new Map<string, Risk>()

  /** @param most principals that it holds; beyond them it forgets first whom it would forget first anyway */
  constructor(most: number) {
    this.#most = most
  }

  get size(): number {
    return this.#risks.size
  }

  /** One that is on the log. */
  restore(risk: Risk): void {
    this.#risks.set(risk.principal, risk)
  }

  /** @returns what changed; nothing for a finding that is delivered again, or of less weight than an earlier one */
  note({ principals, confidence, detector, time }: Finding, now: Instant): readonly Risk[] {
    // A clock that is ahead would keep the risk up until ours is there.
    const at = Math.min(time, now)
    const changed: Risk[] = []
    for (const principal of principals) {
      const risk: Risk = { principal, score: confidence, kind: detector, at, until: at + halfLives * halfLifeMs, halfLifeMs }
      const known = this.#risks.get(principal)
      const present = riskAt(risk, now)
      if (present === 0 || (known !== undefined && riskAt(known, now) >= present)) continue
      this.#risks.set(principal, risk)
      changed.push(risk)
    }
    return changed
  }

  /** Forgets what has faded, and what there is no room for. @returns whose */
  sweep(now: Instant): readonly string[] {
    const gone = [...this.#risks.values()].filter(({ until }) => now >= until)
    for (const { principal } of gone) this.#risks.delete(principal)
    const surplus = this.#risks.size - this.#most
    if (surplus > 0) {
      const soonest = [...this.#risks.values()].sort((a, b) => a.until - b.until).slice(0, surplus)
      for (const { principal } of soonest) this.#risks.delete(principal)
      gone.push(...soonest)
    }
    return gone.map(({ principal }) => principal)
  }
}
