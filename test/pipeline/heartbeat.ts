import type { Heartbeat } from '../../schemas/index.ts'
import { epoch } from '../contracts/observations.ts'

/** Of a detecting process that is at work. */
export function heartbeat(instance: string, at: number, assignments: Heartbeat['assignments'], more: Partial<Heartbeat> = {}): Heartbeat {
  return {
    role: 'detect',
    instance,
    version: '0',
    startedAt: epoch,
    at,
    everyMs: 2_000,
    state: 'running',
    ok: true,
    summary: '',
    assignments,
    snapshotAgeMs: null,
    spoolBytes: null,
    deadLetters: 0,
    blockedSince: null,
    controlStaleMs: null,
    models: [],
    fingerprintKey: null,
    detail: {},
    ...more,
  }
}
