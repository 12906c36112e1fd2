import { startDeadLetterReplayer } from '../../../ingest/dead-letter-replayer.ts'
import { startSink } from '../../../ingest/sink.ts'
import type { Store } from '../../../store/store.ts'
import type { Context } from '../context.ts'

/** The sink from the bus to the store, and what gives dead letters another try. */
export async function runIngest(context: Context, store: Store): Promise<void> {
  const { bus, clock, log, registry, closers, instance } = context
  const sink = await startSink({ bus, store, log, registry, clock })
  closers.add('sink', () => sink.close())
  const replayer = await startDeadLetterReplayer({ bus, clock, log, source: instance })
  closers.add('dead letter replayer', () => replayer.close())
  await context.heart('ingest', () => {
    const { blocked, rowsWritten, duplicates, deadLetters, assignments } = sink.state()
    return {
      ok: blocked === null,
      summary:
        blocked === null
          ? `storing; ${rowsWritten} rows so far`
          : `stopped since ${new Date(blocked.since).toISOString()}, the log keeps what comes: ${blocked.reason}`.slice(0, 2_000),
      assignments: [...assignments],
      deadLetters,
      blockedSince: blocked?.since ?? null,
      detail: { rowsWritten, duplicates },
    }
  })
}
