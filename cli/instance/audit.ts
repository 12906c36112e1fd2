import { hostname } from 'node:os'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { openAuditTrail, type WriterTrail } from '../../audit/trail.ts'
import { type Emitter, openEmitter } from '../../inference/emitter/emitter.ts'
import type { Context } from './context.ts'

/** How long what was recorded last may take to reach the bus as the process stops; what is left waits in the spool. */
const drainMs = 5_000

/** The node's trail, by the way of its events; undefined where the configuration wants none. To be closed before the emitter. */
export function openNodeTrail(context: Context, emitter: Emitter): WriterTrail | undefined {
  const { config, closers } = context
  if (!config.audit.enabled) return undefined
  const { checkpointRecords, checkpointMs, record } = config.audit
  const dir = join(config.dataDir, 'audit', 'node')
  return closers.keep('audit', openTrail(context, emitter, { writer: config.inference.node, dir, checkpointRecords, checkpointMs, record }))
}

/** The trail of what people order, with a spool of its own. */
export async function openOrdersTrail(context: Context): Promise<WriterTrail | undefined> {
  const { config, bus, clock, log, closers } = context
  if (!config.audit.enabled) return undefined
  const { checkpointRecords, checkpointMs } = config.audit
  // The node's spool of the same process has the names of the metrics.
  const emitter = await openEmitter({ bus, dir: join(config.dataDir, 'audit', 'orders-spool'), clock, log, registry: new Registry() })
  closers.add('spool of orders', async () => {
    await emitter.drain(drainMs)
    await emitter.close()
  })
  const host = hostname().replaceAll(/[^\p{L}\p{N}._-]/gu, '-')
  const writer = `orders@${config.instance ?? host}`.slice(0, 128)
  const dir = join(config.dataDir, 'audit', 'orders')
  return closers.keep('audit of orders', openTrail(context, emitter, { writer, dir, checkpointRecords, checkpointMs, record: 'all' }))
}

type OwnOptions = Pick<Parameters<typeof openAuditTrail>[0], 'writer' | 'dir' | 'checkpointRecords' | 'checkpointMs' | 'record'>

function openTrail({ clock, log }: Context, emitter: Emitter, own: OwnOptions): WriterTrail {
  return openAuditTrail({ ...own, emit: (event) => emitter.emit('audit', event), flush: () => emitter.flush(), clock, log })
}
