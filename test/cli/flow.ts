/** A flow that nobody looks at. */
export const flow = {
  workload: 'w',
  pool: null,
  connection: null,
  destination: { address: '10.0.0.1', port: 443, name: null },
  protocol: 'tcp',
  service: null,
  bytesOut: 1,
  bytesIn: 1,
  durationMs: 1,
} as const
