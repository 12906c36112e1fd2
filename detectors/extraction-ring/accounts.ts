import { z } from 'zod'
import { type Instant, Name } from '../../schemas/index.ts'
import { float64Of, textOf } from '../statistics/typed-array-text.ts'
import { tally } from './traits.ts'

/** Shares of an account's queries that may be an attack's: all but a few, and some. Each has its wealth. */
export const shares = [0.95, 0.4] as const
/** Beyond this an account counts no more. */
const most = 1e9

/** One account as the ring's detector remembers it. */
export interface Account {
  /** Counts the accounts of the model, from 1: a birth order. */
  number: number
  name: string
  organization: string | null
  queries: number
  /** Wealth of the bets on its queries, one for each share. */
  first: number
  second: number
  /** Queries that spoke for a ring. */
  telling: number
  /** What its odd queries that lay among nobody's would count. */
  pending: number
  /** The group its queries are nearest to, or 0; votes for it less votes against (Boyer & Moore 1981). */
  group: number
  votes: number
  /** 1 when it has been named in a finding. */
  named: number
  /** When its key was made; 0 where it is not known. */
  created: number
  seenAt: number
  client: string
  agent: string
}

const numbers = [
  'number',
  'queries',
  'first',
  'second',
  'telling',
  'pending',
  'group',
  'votes',
  'named',
  'created',
  'seenAt',
] as const satisfies readonly (keyof Account)[]
const most16k = 16_384

const Json = z
  .object({
    capacity: z.int().min(1).max(most16k),
    births: z.int().min(0),
    names: z.array(Name).max(most16k),
    organizations: z.array(Name.nullable()).max(most16k),
    clients: z.array(z.string().max(64)).max(most16k),
    agents: z.array(z.string().max(64)).max(most16k),
    /** Float64, base64, column by column. */
    numbers: z.string(),
  })
  .refine(
    ({ names, organizations, clients, agents }) => [organizations, clients, agents].every((c) => c.length === names.length),
    'columns of different lengths',
  )
  .refine(({ names, numbers: text }) => Buffer.byteLength(text, 'base64') === names.length * numbers.length * 8, 'numbers missing')
type Json = z.infer<typeof Json>

export interface Caller {
  readonly principal: string
  readonly organization: string | null
  readonly client: string
  readonly agent: string
  readonly keyCreatedAt: Instant | null
}

/** The accounts seen last, least recently seen first. */
export class Accounts {
  readonly #capacity: number
  readonly #byName = new Map<string, Account>()
  readonly #byNumber = new Map<number, Account>()
  readonly #traits = new Map<string, number>()
  #births = 0

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#byName.size
  }

  /** Accounts that were ever new. */
  get births(): number {
    return this.#births
  }

  /** How many of the remembered accounts have each trait. */
  get traits(): ReadonlyMap<string, number> {
    return this.#traits
  }

  all(): Iterable<Account> {
    return this.#byName.values()
  }

  numbered(number: number): Account | undefined {
    return this.#byNumber.get(number)
  }

  /** The account, if known, as the one seen last. */
  touch(name: string): Account | undefined {
    const known = this.#byName.get(name)
    if (known === undefined) return undefined
    this.#byName.delete(name)
    this.#byName.set(name, known)
    return known
  }

  /** A new account, and the one that had to go for it. */
  add(caller: Caller, at: Instant): { readonly added: Account; readonly evicted: Account | undefined } {
    let evicted: Account | undefined
    if (this.#byName.size >= this.#capacity) {
      evicted = this.#byName.values().next().value
      if (evicted !== undefined) this.#drop(evicted)
    }
    const added: Account = {
      number: ++this.#births,
      name: caller.principal,
      organization: caller.organization,
      queries: 0,
      first: 1,
      second: 1,
      telling: 0,
      pending: 0,
      group: 0,
      votes: 0,
      named: 0,
      created: caller.keyCreatedAt ?? 0,
      seenAt: at,
      client: caller.client,
      agent: caller.agent,
    }
    this.#keep(added)
    return { added, evicted }
  }

  #keep(account: Account): void {
    this.#byName.set(account.name, account)
    this.#byNumber.set(account.number, account)
    tally(this.#traits, account, 1)
  }

  #drop(account: Account): void {
    this.#byName.delete(account.name)
    this.#byNumber.delete(account.number)
    tally(this.#traits, account, -1)
  }

  toJSON(): Json {
    const all = [...this.#byName.values()]
    const columns = new Float64Array(all.length * numbers.length)
    for (const [column, name] of numbers.entries())
      for (let i = 0; i < all.length; i++) columns[column * all.length + i] = (all[i] as Account)[name]
    return {
      capacity: this.#capacity,
      births: this.#births,
      names: all.map(({ name }) => name),
      organizations: all.map(({ organization }) => organization),
      clients: all.map(({ client }) => client),
      agents: all.map(({ agent }) => agent),
      numbers: textOf(columns),
    }
  }

  static from(json: Json): Accounts {
    const accounts = new Accounts(json.capacity)
    const columns = float64Of(json.numbers)
    const size = json.names.length
    for (let i = 0; i < size; i++) {
      const at = (column: number) => columns[column * size + i] ?? 0
      accounts.#keep({
        number: at(0),
        name: json.names[i] ?? '',
        organization: json.organizations[i] ?? null,
        queries: at(1),
        first: at(2),
        second: at(3),
        telling: at(4),
        pending: at(5),
        group: at(6),
        votes: at(7),
        named: at(8),
        created: at(9),
        seenAt: at(10),
        client: json.clients[i] ?? '',
        agent: json.agents[i] ?? '',
      })
    }
    accounts.#births = json.births
    return accounts
  }
}

/** How much likelier an account's queries are as a thief's than as anybody's. */
export function weightOf({ first, second }: Account): number {
  return (first + second) / 2
}

/** Takes one query's bet into account. */
export function wager(account: Account, e: number): void {
  account.first = Math.min(most, account.first * (1 + shares[0] * (e - 1)))
  account.second = Math.min(most, account.second * (1 + shares[1] * (e - 1)))
}

/** Guards snapshots: the live table as it is, or its JSON, read back. */
export const AccountsState = z.union([z.instanceof(Accounts), Json.transform(Accounts.from)])
