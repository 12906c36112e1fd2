/**
 * The forms an attack comes in: plain, adaptive, sybil, slow, mixed. A form says nothing about the attack and an
 * attack nothing about its form; {@link compose} merges forms, `run-campaign.ts` runs one attack in one form.
 */
export interface Form {
  readonly name: string
  readonly sybil?: Sybil
  readonly slow?: Slow
  readonly mixed?: Mixed
  readonly adaptive?: Adaptive
}

/** Work spread over several principals that are used at the same time. */
export interface Sybil {
  readonly accounts: number
  /** `sequential` uses one account up to its share of the budget, then the next. */
  readonly order: 'round-robin' | 'random' | 'sequential'
}

/** The whole campaign takes this long in virtual time, in sittings of about `sitting` queries with pauses between. */
export interface Slow {
  readonly hours: number
  readonly sitting: number
}

/** So many ordinary queries for each of the attack, in the name of the same principal. */
export interface Mixed {
  readonly ordinary: number
}

/** Sees every refusal and every hardened answer, and changes what it does. */
export interface Adaptive {
  /** Principals it may use in all, one after another (or, with sybil, as replacements). */
  readonly keys: number
  /** Deviation of the noise on the whole image after the first refusal, its growth at each, and where it stops. */
  readonly noise: { readonly first: number; readonly growth: number; readonly most: number }
  /** Ordinary queries sent first in the name of each new key. */
  readonly warmUp: number
  /** Milliseconds it waits where a refusal does not say how long; doubles while refusals follow each other. */
  readonly backoff: number
  /** Times it begins again, from a jittered source and with step sizes drawn anew, after `patience` refusals in a row. */
  readonly restarts: number
  readonly patience: number
}

export const plain: Form = { name: 'plain' }

export function sybil(options: Partial<Sybil> = {}): Form {
  const { accounts = 10, order = 'round-robin' } = options
  return { name: `sybil ${accounts} ${order}`, sybil: { accounts, order } }
}

export function slow(options: Partial<Slow> = {}): Form {
  const { hours = 24, sitting = 10 } = options
  return { name: `slow ${hours} h`, slow: { hours, sitting } }
}

export function mixed(options: Partial<Mixed> = {}): Form {
  const { ordinary = 9 } = options
  return { name: `mixed 1:${ordinary}`, mixed: { ordinary } }
}

export function adaptive(options: Partial<Adaptive> = {}): Form {
  const settings: Adaptive = {
    keys: 50,
    noise: { first: 0.005, growth: 1.5, most: 0.08 },
    warmUp: 2,
    backoff: 30_000,
    restarts: 20,
    patience: 2,
    ...options,
  }
  return { name: `adaptive ${settings.keys}`, adaptive: settings }
}

/** One form out of several; where two say the same thing, the later one counts. */
export function compose(...forms: readonly Form[]): Form {
  const name = forms.map((form) => form.name).join(' + ')
  return Object.assign({}, ...forms, { name })
}

/** The forms that every attack is measured in. */
export const standardForms: readonly Form[] = [plain, adaptive(), sybil(), slow(), mixed()]
