import { Counter, Gauge, type Registry } from 'prom-client'
import type { AuthenticationFailure, AuthenticationMethod } from './identity.ts'

/** Counts by reason and method, never by who or where: those are in the events. */
export function openAuthenticationMetrics(registry: Registry, sources: { readonly size: number }, tokens: { readonly size: number }) {
  // Counted here and copied when they are read: labels cost more than looking a key up.
  const successes = new Map<AuthenticationMethod, number>()
  const failures = new Map<AuthenticationFailure, number>()
  tallied(registry, 'cordon_authentications_total', 'Credentials that were accepted, by what they are', 'method', successes)
  tallied(registry, 'cordon_authentication_failures_total', 'Credentials that were refused, by why', 'reason', failures)
  sized(registry, 'cordon_authentication_failing_sources', 'Addresses that sent refused credentials lately', sources)
  sized(registry, 'cordon_authentication_tokens', 'Verified tokens in memory', tokens)
  return {
    succeeded: (method: AuthenticationMethod) => void successes.set(method, (successes.get(method) ?? 0) + 1),
    failed: (reason: AuthenticationFailure) => void failures.set(reason, (failures.get(reason) ?? 0) + 1),
  }
}

function tallied(registry: Registry, name: string, help: string, label: string, counts: ReadonlyMap<string, number>): void {
  const counter = new Counter({
    name,
    help,
    labelNames: [label],
    registers: [],
    collect() {
      this.reset()
      for (const [value, count] of counts) this.inc({ [label]: value }, count)
    },
  })
  registry.registerMetric(counter)
}

function sized(registry: Registry, name: string, help: string, of: { readonly size: number }): void {
  const gauge = new Gauge({
    name,
    help,
    registers: [],
    collect() {
      this.set(of.size)
    },
  })
  registry.registerMetric(gauge)
}
