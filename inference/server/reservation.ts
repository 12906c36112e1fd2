import type { Meter, Usage } from '../../limits/port.ts'
import type { Instant } from '../../schemas/index.ts'
import type { Exchange } from './exchange.ts'
import { denialOf } from './permission.ts'
import { Refusal } from './refusal.ts'

/** Has the node set room aside before a model runs. */
export interface Metering {
  readonly meter: Meter
  /** Most that the call may take, before it runs. */
  mostOf(exchange: Exchange): Usage
  /** 0 to 1, of findings about the principal. */
  riskOf(principal: string, now: Instant): number
  /** Whether the principal did not use to call from there. */
  isNewPlace(principal: string, address: string, now: Instant): boolean
  /** Told of calls that were refused for what they asked, or failed. */
  failed(principal: string, now: Instant): void
}

const nothing: Usage = { requests: 0, tokens: 0, cost: 0 }

/**
 * Sets room aside, once for a request; where the nodes may agree on more within a moment, after that.
 *
 * @returns headers that tell what is left
 * @throws Refusal `THROTTLED`
 */
export async function reserve(
  { meter, mostOf, riskOf, isNewPlace }: Metering,
  exchange: Exchange,
  now: Instant,
): Promise<Readonly<Record<string, string>>> {
  const { principal, organization, keyId, keyCreatedAt, model, address, identity } = exchange
  const payer = {
    principal,
    organization,
    keyId,
    sharedKey: identity?.method === 'oidc',
    model: model ?? '',
    keyCreatedAt,
    risk: riskOf(principal, now),
    newPlace: isNewPlace(principal, address, now),
  }
  const most = mostOf(exchange)
  let reservation = meter.reserve(payer, most, now)
  if (!reservation.ok) reservation = (await meter.agree?.(payer, most, now)) ?? reservation
  if (!reservation.ok) {
    const { message, headers, policies } = reservation
    throw new Refusal('THROTTLED', message, { headers, policies })
  }
  // Who left while nodes agreed was written down already.
  if (exchange.recorded) reservation.settle(nothing, now)
  else exchange.settle = reservation.settle
  return reservation.headers
}

/** Takes what the request took, or nothing where it was not answered; once. */
export function settle(metering: Metering | undefined, exchange: Exchange, now: Instant): void {
  const { settle, outcome, items, tokensIn, tokensOut, cost, identity } = exchange
  exchange.settle = undefined
  const ran = outcome === 'served' || outcome === 'aborted'
  settle?.(ran ? { requests: items, tokens: tokensIn + tokensOut, cost } : nothing, now)
  // Nobody's fault where policies could not be asked.
  const failed = outcome === 'invalid' || (outcome === 'denied' && denialOf(exchange) !== 'undecided')
  if (identity !== null && failed) metering?.failed(identity.principal, now)
}
