import type { Logger } from 'pino'
import { carryOutKeyOrder } from '../../access/key-orders.ts'
import type { KeyWriter } from '../../access/key-writer.ts'
import type { AuditTrail } from '../../audit/port.ts'
import { decode, encode, newEvent } from '../../bus/codec.ts'
import { publishDeadLetter } from '../../bus/dead-letter.ts'
import { BusError } from '../../bus/errors.ts'
import { Fence } from '../../bus/fence.ts'
import type { Batch, BusRecord, EventBus, PartitionControl, Position } from '../../bus/port.ts'
import { type Command, type CommandOutcome, CordonError, type EventId, type Instant } from '../../schemas/index.ts'
import { CommandError } from '../commands/errors.ts'
import type { ModelAnnouncer } from './announcer.ts'
import type { Charge } from './charge.ts'
import { digest } from './digest.ts'
import { orderEntry } from './order-entry.ts'
import { approvedBy, isNotInCharge, type Response } from './response.ts'

export interface OrdersOptions {
  readonly bus: EventBus
  readonly charge: Charge
  readonly keys: KeyWriter
  /** Where it is chained who ordered what. */
  readonly audit?: AuditTrail | undefined
  readonly models: Pick<ModelAnnouncer, 'promote'>
  readonly clock: () => Instant
  readonly log: Logger
  /** Who says so on the log. */
  readonly source: string
}

type Result = CommandOutcome['result']

const day = 24 * 60 * 60 * 1_000
/** Commands whose outcome is remembered. */
const maxSettled = 100_000
/** How far a console's clock may be ahead of ours. */
const maxAheadMs = 60_000

/**
 * Carries out what persons order, in order. Once: what is delivered again has its outcome on `outcomes`; where a crash
 * kept it from there, doing it again changes nothing, since its ids and times come from the command.
 */
export class Orders {
  readonly #options: OrdersOptions
  readonly #response: Response
  /** The oldest first. */
  #settled = new Set<EventId>()

  constructor(options: OrdersOptions, response: Response) {
    this.#options = options
    this.#response = response
  }

  /** Learns what was answered before our term began on `outcomes`. */
  async remember(began: Position): Promise<void> {
    const { bus, clock } = this.#options
    const settled = new Set<EventId>()
    const fence = new Fence('outcomes')
    const from = (await bus.offsetsAt('outcomes', Math.max(0, clock() - day))).get(began.partition) ?? 0
    for await (const records of bus.read('outcomes', began.partition, from, began.offset)) {
      for (const record of records) {
        const command = fence.judge(record) === 'counts' ? this.#answered(record) : null
        if (command !== null) settled.add(command)
      }
    }
    this.#settled = settled
  }

  async handle(batch: Batch, control: PartitionControl): Promise<void> {
    for (const record of batch.records) {
      const command = await this.#read(record)
      const isOurs = command !== null && command.order.kind !== 'replay-dead-letter'
      if (isOurs && !this.#settled.has(command.id)) await this.#answer(command)
    }
    await control.commit((batch.records.at(-1)?.offset ?? -1) + 1)
  }

  async #answer(command: Command): Promise<void> {
    const { charge, source, clock, audit } = this.#options
    const outcome = await this.#outcomeOf(command)
    // Before the answer: one that is known is on record. One that is carried out again after a crash is on it twice.
    audit?.append(orderEntry(command, outcome))
    await charge.publish([encode('outcomes', newEvent('outcome', outcome, source, clock()))])
    this.#settled.add(command.id)
    const [eldest] = this.#settled
    if (this.#settled.size > maxSettled && eldest !== undefined) this.#settled.delete(eldest)
  }

  async #outcomeOf(command: Command): Promise<CommandOutcome> {
    const { clock, log } = this.#options
    const { id, by, order } = command
    try {
      this.#checkTime(command)
      const result = await this.#carryOut(command)
      log.info({ command: id, order: order.kind, by }, 'a command was carried out')
      return { command: id, ok: true, code: null, error: null, result, at: clock() }
    } catch (error) {
      if (isPassing(error)) throw error
      log.warn({ err: error, command: id, order: order.kind, by }, 'a command was not carried out')
      const { code, message } = error instanceof CordonError ? error : new CommandError('COMMAND_FAILED', `It failed: ${String(error)}`)
      return { command: id, ok: false, code, error: message.slice(0, 2_000), result: null, at: clock() }
    }
  }

  #checkTime({ at, expiresAt }: Command): void {
    const now = this.#options.clock()
    const lateMs = now - expiresAt
    if (lateMs > 0) {
      const message = `It was read ${lateMs} ms after it expired, so nothing was done; order it again, and compare the clocks if this repeats.`
      throw new CommandError('COMMAND_EXPIRED', message)
    }
    if (at - now > maxAheadMs) {
      const message = `It is dated ${at - now} ms ahead of this clock, so nothing was done; set the clocks of console and responder.`
      throw new CommandError('COMMAND_EXPIRED', message)
    }
  }

  async #carryOut({ id, by, at, order }: Command): Promise<Result> {
    switch (order.kind) {
      case 'contain': {
        const { kind: _, ...request } = order
        return { ...(await this.#response.contain({ ...request, by }, { action: digest(`command/${id}`), at })) }
      }
      case 'release':
        return this.#response.release(order.lease, by)
      case 'approve': {
        const known = this.#response.action(order.action)
        const isDone = known?.state === 'executed' && known.plannedAt === at && known.note.startsWith(approvedBy(by))
        return isDone ? known : this.#response.approve(order.action, by, at)
      }
      case 'decline':
        return this.#response.decline(order.action, by)
      case 'promote-model':
        return this.#options.models.promote(order)
      case 'replay-dead-letter':
        throw new TypeError('not carried out here')
      default:
        return carryOutKeyOrder(order, this.#options.keys, at)
    }
  }

  async #read(record: BusRecord): Promise<Command | null> {
    const { bus, clock, log, source } = this.#options
    try {
      const event = decode(record)
      if (event.kind === 'command') return event.data
      throw new CordonError('UNKNOWN_TYPE', `The topic commands holds a ${event.kind}.`)
    } catch (error) {
      if (!(error instanceof CordonError)) throw error
      log.warn({ code: error.code, offset: record.offset }, 'a command could not be read and is a dead letter now')
      await publishDeadLetter(bus, record, error, clock(), source)
      return null
    }
  }

  #answered(record: BusRecord): EventId | null {
    try {
      const event = decode(record)
      return event.kind === 'outcome' ? event.data.command : null
    } catch (err) {
      this.#options.log.warn({ err, offset: record.offset }, 'an earlier answer could not be read')
      return null
    }
  }
}

/** What is over by itself, here or in another process: the command is delivered again. */
function isPassing(error: unknown): boolean {
  return isNotInCharge(error) || (error instanceof BusError && error.code !== 'TOO_LARGE' && error.code !== 'INVALID_RECORD')
}
