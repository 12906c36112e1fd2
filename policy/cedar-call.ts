import { isIP } from 'node:net'
import type { StatefulAuthorizationCall } from '@cedar-policy/cedar-wasm/nodejs'
import { Operation } from '../schemas/index.ts'
import type { PolicyAction, PolicyRequest } from './port.ts'

type Entity = StatefulAuthorizationCall['entities'][number]

const inference: ReadonlySet<PolicyAction> = new Set<PolicyAction>(Operation.options)

/** All of a request that a policy can see, and nothing else: equal of them, equal decisions. */
export type Seen = readonly [
  principal: string,
  organization: string | null,
  roles: readonly string[],
  method: string,
  action: PolicyAction,
  resource: string,
  sensitivity: string | null,
  owner: string | null,
  purposes: readonly string[],
  address: string | null,
  country: string | null,
  hour: number,
  keyAgeDays: number | null,
  purpose: string | null,
  risk: string,
  secondFactor: boolean,
  targetRisk: string | null,
]

/** Circumstances that differ from request to request, and whether any policy asks for them. */
export type Asked = Readonly<Record<'address' | 'country' | 'hour' | 'keyAgeDays' | 'risk' | 'targetRisk', boolean>>

/**
 * Which circumstances policies can read: a name that stands nowhere in their text none can. An escape could spell any name, so
 * then they count as reading all.
 */
export function askedBy(texts: Iterable<string>): Asked {
  const text = [...texts].join('\n')
  const spelt = text.includes('\\')
  const reads = (name: string) => spelt || new RegExp(`\\b${name}\\b`).test(text)
  return {
    ...{ address: reads('address'), country: reads('country'), hour: reads('hour'), keyAgeDays: reads('keyAgeDays') },
    ...{ risk: reads('risk'), targetRisk: reads('targetRisk') },
  }
}

/** @param asked what no policy asks for it leaves out, so that requests which differ in that alone are one */
export function seenOf({ principal, organization, roles, method, action, resource, context }: PolicyRequest, asked: Asked): Seen {
  const { address, country, hour, keyAgeDays, sensitivity, owner, purposes, purpose, risk, secondFactor, targetRisk } = context
  return [
    principal,
    organization,
    roles,
    method,
    action,
    resource,
    sensitivity,
    owner,
    purposes,
    asked.address ? addressOf(address) : null,
    asked.country ? country : null,
    asked.hour ? Math.trunc(hour) : 0,
    keyAgeDays === null || !asked.keyAgeDays ? null : Math.max(0, Math.floor(keyAgeDays)),
    purpose,
    asked.risk ? hundredths(risk) : '0.00',
    secondFactor,
    targetRisk === null || !asked.targetRisk ? null : hundredths(targetRisk),
  ]
}

/** Entities and context as deploy/policies/cordon.cedarschema has them. */
export function callOf(seen: Seen, preparsedPolicySetId: string): StatefulAuthorizationCall {
  const [principal, organization, roles, method, action, resource, sensitivity, owner, purposes, ...circumstances] = seen
  const [address, country, hour, keyAgeDays, purpose, risk, secondFactor, targetRisk] = circumstances
  const user = { type: 'User', id: principal }
  const model = inference.has(action) || action === 'promote'
  const about = { type: model ? 'Model' : 'Target', id: resource }
  const labels = model ? { purposes: [...purposes], ...present({ sensitivity, owner }) } : {}
  const entities: Entity[] = [
    { uid: user, attrs: { method, ...present({ organization }) }, parents: roles.map((id) => ({ type: 'Role', id })) },
    { uid: about, attrs: labels, parents: [] },
    actionEntities[inference.has(action) ? 'inference' : 'administration'](action),
  ]
  const context = {
    hour,
    risk: decimal(risk),
    secondFactor,
    ...present({ country, keyAgeDays, purpose }),
    ...(address === null ? {} : { address: { __extn: { fn: 'ip', arg: address } } }),
    ...(targetRisk === null ? {} : { targetRisk: decimal(targetRisk) }),
  }
  return { principal: user, action: { type: 'Action', id: action }, resource: about, context, preparsedPolicySetId, entities }
}

function decimal(arg: string) {
  return { __extn: { fn: 'decimal', arg } } as const
}

const actionEntities = {
  inference: (id: string) => actionEntity(id, 'inference'),
  administration: (id: string) => actionEntity(id, 'administration'),
}

function actionEntity(id: string, group: string): Entity {
  return { uid: { type: 'Action', id }, attrs: {}, parents: [{ type: 'Action', id: group }] }
}

function present<V>(values: Readonly<Record<string, V | null>>): Record<string, V> {
  const found: Record<string, V> = {}
  for (const [name, value] of Object.entries(values)) if (value !== null) found[name] = value
  return found
}

/** As Cedar reads addresses: no zone, and IPv4 as such. */
function addressOf(address: string): string | null {
  const plain = address.replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/i, '')
  return isIP(plain) === 0 ? null : plain
}

/** Up, so that it is never less than it is; what is no number is the most. */
function hundredths(risk: number): string {
  const shown = Number.isNaN(risk) ? 1 : Math.min(1, Math.max(0, risk))
  // 0.07 · 100 is 7.000000000000001.
  return (Math.ceil(shown * 100 - 1e-9) / 100).toFixed(2)
}
