import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import type { AuditEntry } from '../../audit/port.ts'
import { openAuditTrail } from '../../audit/trail.ts'
import { verifyExport } from '../../audit/verify.ts'
import { uuidv7 } from '../../schemas/index.ts'

export interface AuditBench {
  readonly records: number
  readonly megabytes: number
  /** CPU time of chaining, journalling and handing on one record, checkpoints included. */
  readonly appendMicros: number
  /** Of verifying them all, as `cordon audit verify` does; of a million the aim is 10. */
  readonly verifySeconds: number
  readonly verifyCpuSeconds: number
  /** CPU time of that over that of SHA-256 over the same bytes in one go. */
  readonly ratioToHash: number
}

const chunkBytes = 1_048_576
const start = Date.UTC(2026, 0, 1)

/** A trail of so many requests, in memory, and its verification. */
export async function benchAudit(records: number): Promise<AuditBench> {
  const dir = mkdtempSync(join(tmpdir(), 'cordon-bench-audit-'))
  try {
    const { chunks, publicKey, appendMicros } = writeTrail(dir, records)
    const megabytes = chunks.reduce((sum, { length }) => sum + length, 0) / 1e6
    const verified = await timed(() => verifyExport(streamOf(chunks), { keys: [publicKey] }))
    const { ok, records: found } = verified.result
    if (!ok || found !== records + 1)
      throw new Error(`the trail of ${records} records was verified as ${found}, ${ok ? 'whole' : 'broken'}`)
    const hashed = await timed(async () => chunks.reduce((hash, chunk) => hash.update(chunk), createHash('sha256')).digest())
    return {
      ...{ records, megabytes: rounded(megabytes), appendMicros: rounded(appendMicros) },
      verifySeconds: rounded(verified.seconds),
      verifyCpuSeconds: rounded(verified.cpuSeconds),
      ratioToHash: rounded(verified.cpuSeconds / hashed.cpuSeconds),
    }
  } finally {
    rmSync(dir, { recursive: true })
  }
}

/** An export as a store gives it: in order, a checkpoint where it was signed. */
function writeTrail(dir: string, records: number) {
  const chunks: Buffer[] = []
  let lines: string[] = []
  let bytes = 0
  const keep = () => {
    chunks.push(Buffer.from(lines.join('')))
    lines = []
    bytes = 0
  }
  const trail = openAuditTrail({
    ...{ writer: 'bench', dir, clock: () => start, log: pino({ level: 'silent' }), checkpointMs: null },
    emit: ({ data: { form, text } }) => {
      lines.push(`${form === 'record' ? text : JSON.stringify({ checkpoint: text })}\n`)
      bytes += text.length
      if (bytes >= chunkBytes) keep()
    },
    flush: () => {},
  })
  const { publicKey } = trail.state()
  const before = process.cpuUsage()
  for (let number = 1; number <= records; number++) {
    trail.append(entryOf(number))
    // As the trail does by itself, once a turn of the event loop.
    if (number % 1_000 === 0) trail.checkpoint()
  }
  trail.close()
  const { user, system } = process.cpuUsage(before)
  keep()
  return { chunks, publicKey, appendMicros: (user + system) / records }
}

function entryOf(number: number): AuditEntry {
  return {
    ...{ id: uuidv7(start + number, Buffer.from(`entry ${number}`.padStart(10, '-'))), at: start + number },
    ...{ principal: `principal-${number % 1_000}`, organization: 'acme', keyId: 'key-a', method: 'key' },
    ...{ operation: 'chat', resource: 'language', version: '1', input: '00000000000000aa', prompt: null },
    ...{ tokensIn: number % 500, tokensOut: 64, cost: 0.25, outcome: 'served', status: 200, denial: null },
    ...{ hardening: 'none', lease: null, policy: '0123456789abcdef', policies: ['callers-may-infer'] },
  }
}

async function* streamOf(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks
}

async function timed<T>(work: () => Promise<T>) {
  const [began, before] = [performance.now(), process.cpuUsage()]
  const result = await work()
  const { user, system } = process.cpuUsage(before)
  return { result, seconds: (performance.now() - began) / 1_000, cpuSeconds: (user + system) / 1e6 }
}

function rounded(value: number): number {
  return Number(value.toFixed(2))
}
