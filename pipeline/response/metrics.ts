import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/** What the response worker counts. No label names a principal or a target. */
export class ResponseMetrics {
  readonly #findings: Counter
  readonly #actions: Counter<'responder' | 'state'>
  readonly #delay: Histogram

  constructor(registry: Registry, counts: { incidents: () => number; leases: () => number; waiting: () => number }) {
    const registers = [registry]
    this.#findings = new Counter({ name: 'cordon_response_findings_total', help: 'Findings handled by the response worker.', registers })
    this.#actions = new Counter({
      name: 'cordon_response_actions_total',
      help: 'Actions by the state they were recorded in.',
      labelNames: ['responder', 'state'],
      registers,
    })
    this.#delay = new Histogram({
      name: 'cordon_response_delay_seconds',
      help: 'From the event that decided to the action carried out.',
      buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60],
      registers,
    })
    gauge('cordon_response_incidents', 'Incidents that are not closed.', counts.incidents, registers)
    gauge('cordon_response_leases', 'Leases that contain now.', counts.leases, registers)
    gauge('cordon_response_waiting_actions', 'Actions that wait for a person.', counts.waiting, registers)
  }

  finding(): void {
    this.#findings.inc()
  }

  action(responder: string, state: string): void {
    this.#actions.inc({ responder, state })
  }

  /** @param delayMs from the deciding event to the action carried out */
  executed(delayMs: number): void {
    this.#delay.observe(Math.max(0, delayMs) / 1_000)
  }
}

function gauge(name: string, help: string, count: () => number, registers: Registry[]): Gauge {
  return new Gauge({
    name,
    help,
    registers,
    collect() {
      this.set(count())
    },
  })
}
