import type { Form } from './forms.ts'
import type { Random } from './random.ts'

/** An attacker's principals: those it uses now, in the form's order, and those it takes up once these are refused. */
export class Wallet {
  readonly #form: Form
  readonly #random: Random
  readonly #share: number
  readonly #reserve: string[]
  readonly #spoilt: string[] = []
  readonly #shunned: string[] = []
  readonly #used = new Set<string>()
  #live: string[]
  #turn = 0
  #taken = 0

  constructor(principals: readonly string[], form: Form, budget: number, random: Random) {
    const { sybil, adaptive } = form
    const several = sybil?.accounts ?? 1
    const most = Math.min(principals.length, Math.max(several, adaptive?.keys ?? 1))
    this.#form = form
    this.#random = random
    this.#share = Math.max(1, Math.ceil(budget / several))
    this.#live = principals.slice(0, Math.min(several, most))
    this.#reserve = principals.slice(this.#live.length, most)
  }

  get used(): readonly string[] {
    return [...this.#used]
  }

  /** Nothing left that was not refused. */
  get empty(): boolean {
    return this.#live.length + this.#reserve.length + this.#shunned.length === 0
  }

  next(): { name: string; fresh: boolean } | null {
    if (this.#live.length === 0) {
      const spare = this.#reserve.shift() ?? this.#shunned.shift()
      if (spare === undefined) return null
      this.#live.push(spare)
    }
    const name = this.#live[this.#place()]
    if (name === undefined) return null
    const fresh = !this.#used.has(name)
    this.#used.add(name)
    return { name, fresh }
  }

  /** Was refused. */
  burn(name: string): void {
    this.#replace(name)
    this.#spoilt.push(name)
  }

  /** Answers, but poorly: taken up again where nothing better is left. */
  shun(name: string): void {
    if (this.#reserve.length === 0) return
    this.#replace(name)
    this.#shunned.push(name)
  }

  /** All those refused are tried once more. */
  restore(): void {
    this.#live = this.#spoilt.splice(0)
  }

  #replace(name: string): void {
    const at = this.#live.indexOf(name)
    if (at < 0) return
    const spare = this.#reserve.shift()
    if (spare === undefined) this.#live.splice(at, 1)
    else this.#live[at] = spare
    this.#taken = 0
  }

  #place(): number {
    const count = this.#live.length
    const order = this.#form.sybil?.order ?? 'sequential'
    if (order === 'random') return this.#random.below(count)
    if (order === 'round-robin') return this.#turn++ % count
    if (this.#taken++ >= this.#share) {
      this.#taken = 1
      this.#turn++
    }
    return this.#turn % count
  }
}
