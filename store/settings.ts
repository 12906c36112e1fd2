/** What one read may cost. */
export interface ReadLimits {
  readonly seconds: number
  /** Rows the engine hands over; `sql` and `query` may return fewer. */
  readonly rows: number
  readonly resultBytes: number
  readonly memoryBytes: number
  readonly threads: number
}

export const defaultReadLimits: ReadLimits = { seconds: 15, rows: 20_000, resultBytes: 64 << 20, memoryBytes: 1 << 30, threads: 2 }

/**
 * The settings that every read runs under. `readonly = 1` refuses writes, changes of any setting (these limits
 * included) and table functions that reach outside. A result over the size limits is cut off rather than refused,
 * and said to be truncated.
 *
 * Order matters to the in-process engine, which takes them one after the other: `readonly` closes the door behind it.
 */
export function readSettings(limits: ReadLimits): Readonly<Record<string, string | number>> {
  return {
    max_execution_time: limits.seconds,
    timeout_overflow_mode: 'throw',
    max_result_rows: limits.rows + 1,
    max_result_bytes: limits.resultBytes,
    result_overflow_mode: 'break',
    max_memory_usage: limits.memoryBytes,
    max_threads: limits.threads,
    max_query_size: 1 << 18,
    date_time_output_format: 'iso',
    output_format_json_quote_64bit_integers: 1,
    output_format_json_quote_denormals: 1,
    allow_introspection_functions: 0,
    allow_ddl: 0,
    readonly: 1,
  }
}
