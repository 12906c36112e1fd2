import { noisy } from '../benign/image.ts'
import type { Campaign, Exchange, Outcome } from './campaign.ts'
import type { Answer, Oracle } from './oracle.ts'
import { Wallet } from './wallet.ts'

const hour = 3_600_000
const maxRemembered = 20_000
const nothing: Answer = { refused: true, status: 429, retryAfterMs: null }

/** What the attack takes for the model: every query goes out in the form's name, time and company. */
export class Disguise implements Oracle {
  readonly #campaign: Campaign
  readonly #onExchange: ((exchange: Exchange) => Promise<boolean> | boolean) | undefined
  readonly #wallet: Wallet
  readonly #answered = new Map<string, Answer>()
  readonly #sent = { attack: 0, ordinary: 0, refused: 0 }
  #at: number
  #stopped = false
  #sigma = 0
  #refusalsInARow = 0
  #hardenedInARow = 0
  #owed = 0

  constructor(campaign: Campaign, onExchange?: (exchange: Exchange) => Promise<boolean> | boolean) {
    this.#campaign = campaign
    this.#onExchange = onExchange
    this.#wallet = new Wallet(campaign.principals, campaign.form, campaign.budget, campaign.random)
    this.#at = campaign.start ?? 0
  }

  /** Queries that the attack may still ask. */
  get left(): number {
    return this.#stopped ? 0 : this.#campaign.budget - this.#sent.attack
  }

  summary(): Pick<Outcome, 'sent' | 'principals' | 'until'> {
    return { sent: { ...this.#sent }, principals: this.#wallet.used, until: this.#at }
  }

  async query(image: Float32Array): Promise<Answer> {
    const { adaptive } = this.#campaign.form
    // Who watches the defence asks nothing twice: a repeated query is what it would be known by.
    const known = adaptive ? this.#answered.get(textOf(image)) : undefined
    if (known) return known
    for (let tries = 0; this.left > 0; tries++) {
      const answer = await this.#once(image)
      if (!answer.refused) {
        if (adaptive) this.#remember(image, answer)
        return answer
      }
      if (this.#wallet.empty || (adaptive && tries + 1 >= adaptive.patience)) return answer
    }
    return nothing
  }

  /** One query of the attack with what its form puts before it. */
  async #once(image: Float32Array): Promise<Answer> {
    const { form, images, random } = this.#campaign
    const chosen = this.#wallet.next()
    if (chosen === null) return this.#outOfKeys()
    // In the mean as many as the form says: a fixed beat would be a sign of its own.
    if (form.mixed) this.#owed += form.mixed.ordinary * random.between(0, 2)
    // A fresh key of an adaptive attacker says something ordinary first.
    if (chosen.fresh && this.#wallet.used.length > 1) this.#owed += form.adaptive?.warmUp ?? 0
    for (; this.#owed >= 1; this.#owed--) {
      if (this.left === 0) return nothing
      const answer = await this.#send(chosen.name, images(), 'ordinary')
      if (answer.refused) return this.#refused(chosen.name, answer)
    }
    if (this.left === 0) return nothing
    const shown = this.#sigma > 0 ? noisy(image, this.#sigma, random) : image
    const answer = await this.#send(chosen.name, shown, 'attack')
    if (answer.refused) return this.#refused(chosen.name, answer)
    this.#refusalsInARow = 0
    this.#watchHardening(chosen.name, answer)
    return answer
  }

  async #send(principal: string, image: Float32Array, origin: Exchange['origin']): Promise<Answer> {
    this.#at += this.#gap()
    const at = Math.round(this.#at)
    const answer = await this.#campaign.accounts.query(principal, image, at)
    this.#sent[origin]++
    if (answer.refused) this.#sent.refused++
    if ((await this.#onExchange?.({ principal, at, image, origin, answer })) === false) this.#stopped = true
    return answer
  }

  #refused(principal: string, answer: Answer & { refused: true }): Answer {
    const { adaptive } = this.#campaign.form
    this.#wallet.burn(principal)
    this.#refusalsInARow++
    this.#owed = 0
    if (!adaptive) return answer
    const { first, growth, most } = adaptive.noise
    this.#sigma = Math.min(most, this.#sigma === 0 ? first : this.#sigma * growth)
    // With another key at hand it goes on after a breath; the wait that the refusal names is for the key refused.
    this.#at += this.#wallet.empty ? 0 : adaptive.backoff * this.#campaign.random.next()
    return answer
  }

  /** Waits as long as it was told, doubled while that does not help, and tries its keys once more. */
  #outOfKeys(): Answer {
    const { adaptive } = this.#campaign.form
    if (!adaptive || this.#refusalsInARow > 4 * adaptive.keys) {
      this.#stopped = true
      return nothing
    }
    this.#at += adaptive.backoff * 2 ** Math.min(10, this.#refusalsInARow)
    this.#wallet.restore()
    return nothing
  }

  /** Three rounded or label-only answers in a row tell an adaptive attacker that this key is contained. */
  #watchHardening(principal: string, answer: Answer & { refused: false }): void {
    if (!this.#campaign.form.adaptive) return
    this.#hardenedInARow = looksHardened(answer.probabilities) ? this.#hardenedInARow + 1 : 0
    if (this.#hardenedInARow < 3) return
    this.#hardenedInARow = 0
    this.#wallet.shun(principal)
  }

  /** Milliseconds until the next query. */
  #gap(): number {
    const { form, random, pace = 1_000, budget } = this.#campaign
    const short = -Math.log(1 - random.next()) * pace
    if (!form.slow) return short
    const { hours, sitting } = form.slow
    const total = budget * (1 + (form.mixed?.ordinary ?? 0))
    const pause = Math.max(0, (hours * hour - total * pace) / (total / sitting))
    return random.next() < 1 / sitting ? -Math.log(1 - random.next()) * pause + short : short
  }

  #remember(image: Float32Array, answer: Answer): void {
    if (this.#answered.size >= maxRemembered) this.#answered.clear()
    this.#answered.set(textOf(image), answer)
  }
}

/** Every value is a float nearest to a decimal of three digits: a model's own answers hardly ever are. */
export function looksHardened(probabilities: Float32Array): boolean {
  return probabilities.every((value) => Math.fround(Math.round(value * 1_000) / 1_000) === value)
}

/** 64 bits of two FNV-1a sums: only a memory of the attacker's own, so nobody forges it. */
function textOf(image: Float32Array): string {
  const words = new Uint32Array(image.buffer, image.byteOffset, image.length)
  let a = 0x811c9dc5
  let b = 0x01234567
  for (const word of words) {
    a = Math.imul(a ^ word, 0x01000193)
    b = Math.imul(b ^ (word >>> 7) ^ (word << 11), 0x85ebca6b)
  }
  return `${a}:${b}`
}
