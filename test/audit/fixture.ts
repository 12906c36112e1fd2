import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import type { AuditEntry } from '../../audit/port.ts'
import { openAuditTrail, type TrailOptions, type WriterTrail } from '../../audit/trail.ts'
import type { Verdict } from '../../audit/verdict.ts'
import { type VerifyOptions, verifyExport } from '../../audit/verify.ts'
import type { AuditEvent } from '../../schemas/audit.ts'
import { type CordonEvent, uuidv7 } from '../../schemas/index.ts'

export const silent = pino({ level: 'silent' })
/** 2026-01-01T00:00:00Z. */
export const start = Date.UTC(2026, 0, 1)

export function temporaryDir(t: { after(fn: () => void): void }): string {
  const dir = mkdtempSync(join(tmpdir(), 'cordon-audit-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

export function entry(number: number, changes: Partial<AuditEntry> = {}): AuditEntry {
  return {
    id: uuidv7(start + number, Buffer.from(`entry ${number}`.padStart(10, '-'))),
    at: start + number,
    principal: ['alice', 'bob', 'carol'][number % 3] ?? 'alice',
    organization: 'acme',
    keyId: 'key-a',
    method: 'key',
    operation: 'chat',
    resource: 'language',
    version: '1',
    input: '00000000000000aa',
    prompt: null,
    tokensIn: number,
    tokensOut: 2,
    cost: 0.25,
    outcome: 'served',
    status: 200,
    denial: null,
    hardening: 'none',
    lease: null,
    policy: 'p1',
    policies: ['readers'],
    ...changes,
  }
}

/** A trail whose events are kept here, as a bus and a store would. */
export interface Kept {
  readonly trail: WriterTrail
  readonly events: CordonEvent<'audit'>[]
}

export function openKept(dir: string, options: Partial<TrailOptions> = {}): Kept {
  const events: CordonEvent<'audit'>[] = []
  const trail = openAuditTrail({
    writer: 'node-1',
    dir,
    emit: (event) => events.push(event),
    flush: () => {},
    clock: () => start,
    log: silent,
    checkpointMs: null,
    ...options,
  })
  return { trail, events }
}

/** What a store gives of events: each once by its id, by writer, log and number; a checkpoint before the record of its size. */
export function exported(events: readonly CordonEvent<'audit'>[]): string[] {
  const unique = [...new Map(events.map((event) => [event.id, event.data])).values()]
  const form = ({ form }: AuditEvent) => (form === 'checkpoint' ? 0 : 1)
  const order = (a: AuditEvent, b: AuditEvent) => compare(a.writer, b.writer) || compare(a.log, b.log) || a.seq - b.seq || form(a) - form(b)
  return unique.sort(order).map(({ form, text }) => (form === 'record' ? text : JSON.stringify({ checkpoint: text })))
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

export function verifyLines(lines: readonly string[], options: Partial<VerifyOptions> = {}): Promise<Verdict> {
  return verifyExport(chunksOf(lines.map((line) => `${line}\n`).join('')), { keys: [], ...options })
}

/** In pieces that end anywhere. */
async function* chunksOf(text: string): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += 10_007) yield bytes.subarray(at, at + 10_007)
}
