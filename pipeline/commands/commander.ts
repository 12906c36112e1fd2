import type { Logger } from 'pino'
import { decode, encode, newEvent } from '../../bus/codec.ts'
import { newEventId } from '../../bus/event-id.ts'
import { Fence } from '../../bus/fence.ts'
import type { BusRecord, EventBus, Tail } from '../../bus/port.ts'
import { openTail } from '../../bus/tail.ts'
import { type Command, type CommandOutcome, CordonError, type EventId, type Instant, Order } from '../../schemas/index.ts'
import { CommandError } from './errors.ts'

export interface CommanderOptions {
  readonly bus: EventBus
  readonly clock: () => Instant
  readonly log: Logger
  /** This process's name: who says so on the log. Default `console`. */
  readonly source?: string
  /** How long a command may take to be read; it expires then. Default 15,000 ms, in which a responder that died is replaced. */
  readonly timeoutMs?: number
}

/** Sends persons' orders to the control plane. */
export interface Commander {
  /**
   * Resolves with what the order made, as JSON, when it has been carried out and is durable.
   *
   * @param by the person
   * @throws CordonError with the code of whoever refused it, or CommandError
   */
  order(order: Order, by: string): Promise<unknown>
  close(): Promise<void>
}

/** What may still be on its way back when a command that was read in time is answered. */
const graceMs = 2_000

/** Resolves when answers can be heard. */
export async function openCommander(options: CommanderOptions): Promise<Commander> {
  const commander = new LoggedCommander(options)
  await commander.open()
  return commander
}

class LoggedCommander implements Commander {
  readonly #options: CommanderOptions
  readonly #timeoutMs: number
  readonly #fence = new Fence('outcomes')
  readonly #waiting = new Map<EventId, (outcome: CommandOutcome | CommandError) => void>()
  #tail: Tail | undefined

  constructor(options: CommanderOptions) {
    this.#options = options
    this.#timeoutMs = options.timeoutMs ?? 15_000
  }

  async open(): Promise<void> {
    const { bus, log } = this.#options
    this.#tail = await openTail(bus, {
      topic: 'outcomes',
      from: 'end',
      onRecords: (records) => {
        for (const record of records) this.#hear(record)
      },
      onError: (err) => log.warn({ err }, 'answers to commands are not being heard for a moment'),
    })
  }

  async order(order: Order, by: string): Promise<unknown> {
    const { bus, clock, source = 'console' } = this.#options
    const at = clock()
    const command: Command = { id: newEventId(at), by, at, expiresAt: at + this.#timeoutMs, order: checked(order) }
    const record = encode('commands', newEvent('command', command, source, at, command.id))
    const heard = this.#listen(command)
    try {
      await bus.publish([record])
    } catch (error) {
      this.#waiting.delete(command.id)
      throw error
    }
    const outcome = await heard
    if (outcome instanceof CommandError) throw outcome
    if (!outcome.ok) throw new CordonError(outcome.code ?? 'COMMAND_FAILED', outcome.error ?? 'The command failed.')
    return outcome.result
  }

  async close(): Promise<void> {
    const closed = new CommandError('COMMANDER_CLOSED', 'This process is closing; look whether the command was carried out.')
    for (const tell of this.#waiting.values()) tell(closed)
    await this.#tail?.close()
  }

  /** Never rejects, so that a command which is not published leaves no rejection behind. */
  #listen({ id, order }: Command): Promise<CommandOutcome | CommandError> {
    return new Promise((resolve) => {
      const tell = (outcome: CommandOutcome | CommandError) => {
        clearTimeout(timer)
        this.#waiting.delete(id)
        resolve(outcome)
      }
      const seconds = (this.#timeoutMs + graceMs) / 1_000
      const who = order.kind === 'replay-dead-letter' ? 'ingest' : 'respond'
      const message = `Nobody answered ${order.kind} within ${seconds} s. See with "cordon status" whether ${who} runs. A command that is read too late is not carried out; one that was read may have been: look before you order it again.`
      const timer = setTimeout(() => tell(new CommandError('COMMAND_TIMEOUT', message)), this.#timeoutMs + graceMs)
      this.#waiting.set(id, tell)
    })
  }

  #hear(record: BusRecord): void {
    if (this.#fence.judge(record) !== 'counts') return
    try {
      const event = decode(record)
      if (event.kind === 'outcome') this.#waiting.get(event.data.command)?.(event.data)
    } catch (err) {
      this.#options.log.warn({ err, offset: record.offset }, 'an answer to a command could not be read')
    }
  }
}

function checked(order: Order): Order {
  const parsed = Order.safeParse(order)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'order'}: ${message}`).join('; ')
  throw new CommandError('ORDER_INVALID', `Ordering ${order.kind}: ${problems.slice(0, 1_000)}.`)
}
