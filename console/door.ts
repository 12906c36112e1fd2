import type { FastifyRequest } from 'fastify'
import type { Account, Administrators } from '../access/administrators.ts'
import { isGood } from '../access/administrators.ts'
import type { AuthenticationFailure, AuthenticationMethod, Authenticator, Capability, Identity } from '../access/identity.ts'
import type { SecondFactors } from '../access/second-factor.ts'
import type { Caller } from '../policy/context.ts'
import type { Instant } from '../schemas/index.ts'
import { ConsoleError, otpHeader } from './errors.ts'
import { type Act, type Permission, refusalOf } from './permission.ts'
import { tokenCheck } from './token.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Any of these is enough; by default `administration`. */
    capabilities?: readonly Capability[]
  }
}

/** A clock that is ahead of ours may have stamped a proof. */
const skewMs = 60_000

export interface DoorOptions {
  /** The machine's own credential: who has it can read the data directory. */
  readonly token: string
  /** Local accounts, and their codes; without them there are none. */
  readonly accounts?: { readonly administrators: Administrators; readonly secondFactors: SecondFactors }
  /** Who else may come: users of an identity provider. */
  readonly authenticator?: Authenticator
  /** `required`: privileged actions need one of everybody, so that the machine's token does none. Default `accounts`. */
  readonly secondFactor?: 'accounts' | 'required'
  /** How long a proof of a second factor counts, milliseconds. Default 300,000. */
  readonly secondFactorMs?: number
  /** What policies say beside that; without it, a capability is enough. */
  readonly permission?: Permission
  readonly clock?: () => Instant
}

type Operator =
  | { readonly kind: 'machine'; readonly capabilities: readonly Capability[] }
  | {
      readonly kind: 'account'
      readonly name: string
      readonly account: Account
      readonly secondFactors: SecondFactors
      readonly capabilities: readonly Capability[]
    }
  | {
      readonly kind: AuthenticationMethod
      readonly name: string
      readonly identity: Identity
      readonly capabilities: readonly Capability[]
    }

/** Who may do what with the console: authentication, capabilities, policies and the second factor of privileged actions. */
export class Door {
  readonly #options: DoorOptions
  readonly #isToken: (authorization: string | undefined) => boolean
  readonly #clock: () => Instant
  readonly #inside = new WeakMap<FastifyRequest, Operator>()
  /** Requests that brought a code which counts: the window that it opens may be none. */
  readonly #proven = new WeakSet<FastifyRequest>()

  constructor(options: DoorOptions) {
    this.#options = options
    this.#isToken = tokenCheck(options.token)
    this.#clock = options.clock ?? Date.now
  }

  /** @throws ConsoleError `UNAUTHENTICATED`, `FORBIDDEN`, `TOO_MANY_ATTEMPTS`, `PROVIDER_AWAY` */
  async enter(request: FastifyRequest): Promise<void> {
    const operator = await this.#identify(request)
    this.#inside.set(request, operator)
    this.demand(request, request.routeOptions.config.capabilities ?? ['administration'])
  }

  /**
   * That whoever asks has one of these.
   *
   * @throws ConsoleError `FORBIDDEN`
   */
  demand(request: FastifyRequest, capabilities: readonly Capability[]): void {
    const held = this.#operator(request).capabilities
    if (capabilities.some((one) => held.includes(one))) return
    throw new ConsoleError('FORBIDDEN', `this needs the capability ${capabilities.join(' or ')}, which your credential does not have`)
  }

  /**
   * That whoever asks proved a second factor lately, or does so now.
   *
   * @throws ConsoleError `SECOND_FACTOR`, `SECOND_FACTOR_PAUSED`
   */
  demandSecondFactor(request: FastifyRequest): void {
    const operator = this.#operator(request)
    const { secondFactor = 'accounts', secondFactorMs = 300_000 } = this.#options
    if (operator.kind === 'machine') {
      if (secondFactor === 'accounts') return
      const message =
        "access.secondFactor is required, and the machine's token has none: use an account, made with `cordon accounts create`"
      throw new ConsoleError('SECOND_FACTOR', message)
    }
    if (operator.kind === 'account') return this.#demandCode(request, operator.account, operator.secondFactors)
    const { secondFactorAt } = operator.identity
    const now = this.#clock()
    if (secondFactorAt !== null && now - secondFactorAt < secondFactorMs && secondFactorAt <= now + skewMs) return
    throw new ConsoleError('SECOND_FACTOR', 'sign in at your identity provider again, with a second factor, and send the new token')
  }

  /**
   * That policies permit it. Asked when it is known what is to be done, and after the second factor that some actions need
   * always; where policies want one and nothing else is missing, it is asked for.
   *
   * @throws ConsoleError `FORBIDDEN`, `UNDECIDED`, `SECOND_FACTOR`, `SECOND_FACTOR_PAUSED`
   */
  async permit(request: FastifyRequest, ...acts: readonly Act[]): Promise<void> {
    for (const act of acts) await this.#permit(request, act)
  }

  async #permit(request: FastifyRequest, act: Act): Promise<void> {
    const { permission } = this.#options
    if (permission === undefined) return
    const operator = this.#operator(request)
    const now = this.#clock()
    const decide = (secondFactorAt: Instant | null) => permission.decide({ ...callerOf(operator), secondFactorAt }, act, request.ip, now)
    let decision = await decide(this.#secondFactorAt(request, now))
    try {
      // Where a proof would change nothing, policies are not asked twice.
      const couldProve = decision.errors.length === 0 && operator.kind !== 'machine'
      if (!decision.allowed && couldProve && (await decide(now)).allowed) {
        this.demandSecondFactor(request)
        // A provider's proof may be fresh enough for the door and not for the policies.
        decision = await decide(this.#secondFactorAt(request, now))
      }
    } finally {
      // Once, however often they were asked; also where the proof is missing or wrong.
      if (!decision.allowed) permission.denied(decision)
    }
    if (decision.allowed) return
    const { policies, errors, version } = decision
    request.log.warn({ by: this.by(request, undefined), ...act, policies, errors, version }, 'console: policies do not permit it')
    throw refusalOf(decision, act)
  }

  #secondFactorAt(request: FastifyRequest, now: Instant): Instant | null {
    const operator = this.#operator(request)
    if (operator.kind === 'machine') return null
    if (operator.kind !== 'account') return operator.identity.secondFactorAt
    return this.#proven.has(request) ? now : operator.secondFactors.provenAt(operator.account, now)
  }

  /** Who did it, for the record; only who has the machine's token says so by itself, and not in the name of an account. */
  by(request: FastifyRequest, said: string | undefined): string {
    const operator = this.#operator(request)
    if (operator.kind !== 'machine') return operator.name
    if (said === undefined) return 'operator'
    const taken = this.#options.accounts?.administrators.get(said) !== undefined
    return taken ? `token:${said}`.slice(0, 128) : said
  }

  /** Whether this principal is the one who asks; accounts and the machine are no principals. */
  isSelf(request: FastifyRequest, principal: string): boolean {
    const operator = this.#operator(request)
    return operator.kind !== 'machine' && operator.kind !== 'account' && operator.name === principal
  }

  /** Whether who came in may still be inside: streams ask while they run. */
  mayStay(request: FastifyRequest): boolean {
    const operator = this.#operator(request)
    const now = this.#clock()
    if (operator.kind === 'machine') return true
    if (operator.kind !== 'account') return this.#options.authenticator?.isGood(operator.identity, now) ?? false
    const account = this.#options.accounts?.administrators.get(operator.name)
    return account !== undefined && account.tokenHash === operator.account.tokenHash && isGood(account, now)
  }

  #operator(request: FastifyRequest): Operator {
    const operator = this.#inside.get(request)
    if (operator === undefined) throw new ConsoleError('UNAUTHENTICATED', 'nobody was let in')
    return operator
  }

  async #identify(request: FastifyRequest): Promise<Operator> {
    const { authorization, origin } = request.headers
    if (this.#isToken(authorization)) return { kind: 'machine', capabilities: ['administration'] }
    const bearer = /^Bearer ([\x21-\x7e]{1,16384})$/.exec(authorization ?? '')?.[1]
    if (bearer === undefined) throw unauthenticated()
    const { accounts, authenticator } = this.#options
    const now = this.#clock()
    const account = accounts?.administrators.authenticate(bearer, now) ?? null
    if (accounts !== undefined && account !== null) {
      const { secondFactors } = accounts
      return { kind: 'account', name: account.name, account, secondFactors, capabilities: account.capabilities }
    }
    if (authenticator === undefined) throw unauthenticated()
    const credentials = { bearer, address: request.ip, origin, certificate: null }
    const found = await authenticator.authenticate(credentials, now)
    if (!found.ok) throw refused(found.reason, found.retryMs)
    const { identity } = found
    return { kind: identity.method, name: identity.principal, identity, capabilities: identity.capabilities }
  }

  #demandCode(request: FastifyRequest, account: Account, secondFactors: SecondFactors): void {
    const now = this.#clock()
    // While the door is open a code is not looked at, and stays unused.
    if (this.#proven.has(request) || secondFactors.provenAt(account, now) !== null) return
    const code = request.headers[otpHeader.toLowerCase()]
    if (account.totp === null || account.totp.step === null)
      throw new ConsoleError('SECOND_FACTOR', `${account.name} has no second factor yet: set one up with \`cordon accounts enrol\``)
    if (typeof code !== 'string' || code === '')
      throw new ConsoleError('SECOND_FACTOR', `this needs the code that your authenticator shows: send it as ${otpHeader}`, {
        takesCode: true,
      })
    const proof = secondFactors.prove(account, code, now)
    if (proof.ok) return void this.#proven.add(request)
    if (proof.reason !== 'paused')
      throw new ConsoleError('SECOND_FACTOR', `that code does not count: wait for the next, and send it as ${otpHeader}`, {
        takesCode: true,
      })
    const seconds = Math.ceil(proof.retryMs / 1_000)
    throw new ConsoleError('SECOND_FACTOR_PAUSED', `too many wrong codes: try again in ${seconds} s`, { retryMs: proof.retryMs })
  }
}

/** Whoever has the machine's token may change its configuration too: an administrator, of whom no second factor is known. */
function callerOf(operator: Operator): Omit<Caller, 'secondFactorAt'> {
  const nobody = { organization: null, createdAt: null }
  if (operator.kind === 'machine') return { ...nobody, principal: 'operator', method: 'machine', roles: ['administrator'] }
  if (operator.kind !== 'account') return operator.identity
  const { name, roles, createdAt } = operator.account
  return { ...nobody, principal: name, method: 'account', roles, createdAt }
}

function unauthenticated(): ConsoleError {
  return new ConsoleError('UNAUTHENTICATED', 'send the token of the data directory, or of your account, as Authorization: Bearer')
}

function refused(reason: AuthenticationFailure, retryMs = 1_000): ConsoleError {
  if (reason === 'provider-away') return new ConsoleError('PROVIDER_AWAY', 'the identity provider does not answer: try again', { retryMs })
  if (reason === 'too-many-failures') return new ConsoleError('TOO_MANY_ATTEMPTS', 'too many attempts: try again later', { retryMs })
  return unauthenticated()
}
