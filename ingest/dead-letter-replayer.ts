import type { Logger } from 'pino'
import { decode, encode, newEvent } from '../bus/codec.ts'
import { BusError } from '../bus/errors.ts'
import type { Batch, BusRecord, Consumer, EventBus, OutgoingRecord, PartitionControl, Position } from '../bus/port.ts'
import {
  type Command,
  type CommandOutcome,
  CordonError,
  type CordonEvent,
  type EventId,
  type Instant,
  sentHeader,
} from '../schemas/index.ts'
import { getDeadLetter, type Letter } from './dead-letters.ts'
import { ReplayError } from './errors.ts'
import { type Collected, type CollectedKind, readEvents } from './event-lines.ts'
import { idFor } from './unreadable.ts'

export interface ReplayerOptions {
  readonly bus: EventBus
  readonly clock: () => Instant
  readonly log: Logger
  /** Who answers. */
  readonly source: string
}

export interface ReplayerState {
  /** Records published again since this replayer began, and orders that could not be carried out. */
  readonly replayed: number
  readonly refused: number
  /** What keeps it from the next order; null when nothing does. */
  readonly trouble: { readonly since: Instant; readonly reason: string } | null
}

export interface Replayer {
  state(): ReplayerState
  close(): Promise<void>
}

/** What can be sent again: what anyone may say twice. Control topics are written by who is in charge, and by nobody else. */
const replayable: ReadonlySet<string> = new Set(['requests', 'fingerprints', 'prompts', 'telemetry', 'flows', 'findings'])

/** How far the clocks of the one who orders and of the one who answers may be apart, milliseconds. */
const skewMs = 3_600_000

/** States of the bus that pass: the order is delivered again. Everything else is an answer. */
const passing: ReadonlySet<string> = new Set(['BUS_CLOSED', 'BUS_FULL', 'BUS_LOCKED', 'BUS_UNAVAILABLE', 'PARTITION_LOST'])

/**
 * Carries out the orders of `commands` that publish the record of a dead letter again, once each, as a member of group
 * `replay`, and answers on `outcomes`: where the record went, or null where there is no such letter.
 *
 * The record is read where it stands and published as it is, so a reader that understands it now (it was upgraded, or
 * mended) handles it; events are kept once by id, so one that was handled already changes nothing. What an intake
 * refused was never on the bus: the line in the letter is taken in again.
 */
export async function startDeadLetterReplayer(options: ReplayerOptions): Promise<Replayer> {
  const replayer = new LetterReplayer(options)
  await replayer.start()
  return replayer
}

class LetterReplayer implements Replayer {
  readonly #options: ReplayerOptions
  #consumer: Consumer | undefined
  #replayed = 0
  #refused = 0
  #trouble: ReplayerState['trouble'] = null

  constructor(options: ReplayerOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    this.#consumer = await this.#options.bus.consume({
      group: 'replay',
      topics: ['commands'],
      onBatch: (batch, control) => this.#handle(batch, control),
      onError: (error) => this.#noteTrouble(error),
    })
  }

  state(): ReplayerState {
    return { replayed: this.#replayed, refused: this.#refused, trouble: this.#trouble }
  }

  async close(): Promise<void> {
    await this.#consumer?.close()
  }

  async #handle(batch: Batch, control: PartitionControl): Promise<void> {
    for (const record of batch.records) {
      if (control.signal.aborted) return
      const command = commandIn(record)
      if (command?.order.kind !== 'replay-dead-letter') continue
      // Of two who hold the partition, for a moment, the one that is not sure leaves it to the other.
      if (!control.held()) throw new BusError('PARTITION_LOST', 'replaying dead letters: the partition may be another member’s by now')
      await this.#answer(command, command.order.letter)
      await control.commit(record.offset + 1)
    }
    this.#trouble = null
    await control.commit((batch.records.at(-1)?.offset ?? -1) + 1)
  }

  async #answer(command: Command, letter: EventId): Promise<void> {
    const { bus, clock, source } = this.#options
    if (await this.#isAnswered(command.id, command.at)) return
    const outcome = await this.#outcomeOf(command, letter)
    const id = idFor(`replay\n${command.id}`, command.at)
    await bus.publish([encode('outcomes', newEvent('outcome', outcome, source, clock(), id))])
    if (outcome.ok) this.#replayed++
    else this.#refused++
  }

  /** The order was delivered again: its answer may have been given without the offset being committed. */
  async #isAnswered(command: EventId, at: Instant): Promise<boolean> {
    const { bus } = this.#options
    const from = await bus.offsetsAt('outcomes', Math.max(0, at - skewMs))
    for (const { partition, start, end } of await bus.partitions('outcomes')) {
      for await (const records of bus.read('outcomes', partition, Math.max(start, from.get(partition) ?? start), end)) {
        if (records.some(({ key }) => key === command)) return true
      }
    }
    return false
  }

  async #outcomeOf({ id: command, by, expiresAt }: Command, letter: EventId): Promise<CommandOutcome> {
    const { clock, log } = this.#options
    try {
      if (clock() > expiresAt) {
        throw new ReplayError('COMMAND_EXPIRED', `replaying ${letter}: the order expired before it was read; order it again`)
      }
      const position = await this.#replay(letter)
      log.info({ command, by, letter, position }, 'the record of a dead letter was published again')
      return { command, ok: true, code: null, error: null, result: position === null ? null : { ...position }, at: clock() }
    } catch (error) {
      if (!(error instanceof CordonError) || passing.has(error.code)) throw error
      log.warn({ err: error, command, by, letter }, 'a dead letter was not replayed')
      return { command, ok: false, code: error.code, error: error.message.slice(0, 2_000), result: null, at: clock() }
    }
  }

  async #replay(id: EventId): Promise<Position | null> {
    const { bus, clock } = this.#options
    const letter = await getDeadLetter(bus, id)
    if (letter === undefined) return null
    if (!replayable.has(letter.topic)) {
      const why = `only ${[...replayable].join(', ')} are replayed`
      throw new ReplayError('NOT_REPLAYABLE', `replaying ${id}: its record stood on ${letter.topic}, and ${why}`)
    }
    const record = letter.offset < 0 ? takenInAgain(letter) : again(await this.#original(letter), clock())
    const [position] = await bus.publish([record])
    return position ?? null
  }

  async #original({ id, topic, partition, offset, size }: Letter): Promise<BusRecord> {
    for await (const records of this.#options.bus.read(topic, partition, offset, offset + 1)) {
      const record = records.find((one) => one.offset === offset)
      if (record !== undefined) return record
    }
    throw new ReplayError(
      'RECORD_UNAVAILABLE',
      `replaying ${id}: the record ${topic}/${partition}@${offset} is gone from its topic by retention; ` +
        `the first ${Math.min(size, 8_192)} of its ${size} bytes are in the letter, to be sent again from its source`,
    )
  }

  #noteTrouble(error: unknown): void {
    this.#options.log.warn({ err: error }, 'the bus failed the replay of dead letters; it tries again')
    const reason = error instanceof Error ? error.message : String(error)
    this.#trouble = { since: this.#trouble?.since ?? this.#options.clock(), reason }
  }
}

/** As it was, to the same key; sent now, by us: its sender's clock has nothing to say about that. */
function again({ topic, partition, key, value, headers, timestamp }: BusRecord, now: Instant): OutgoingRecord {
  const sent = Object.hasOwn(headers, sentHeader) ? { ...headers, [sentHeader]: String(now) } : headers
  return { topic, key, value, headers: sent, timestamp, ...(key === null ? { partition } : {}) }
}

/** @throws ReplayError where it cannot be taken in */
function takenInAgain({ id, topic, value, size, at, source }: Letter): OutgoingRecord {
  const line = Buffer.from(value, 'base64')
  if (topic !== 'flows' && topic !== 'telemetry') {
    throw new ReplayError('NOT_REPLAYABLE', `replaying ${id}: it was never on the bus, and there is no intake for ${topic}`)
  }
  if (line.length < size) {
    throw new ReplayError(
      'RECORD_UNAVAILABLE',
      `replaying ${id}: the letter has ${line.length} of its ${size} bytes; send it again from its source`,
    )
  }
  // One id for however often the order is carried out, where the line brings none of its own.
  const given = idFor(`intake\n${id}`, at)
  if (topic === 'flows') return encode('flows', onlyOf(readEvents('flow', line, source, 1, given), id))
  return encode('telemetry', onlyOf(readEvents('telemetry', line, source, 1, given), id))
}

function onlyOf<K extends CollectedKind>({ events, rejected }: Collected<K>, letter: EventId): CordonEvent<K> {
  const [event] = events
  if (event !== undefined) return event
  const why = rejected[0]?.reason ?? 'there is no event in it'
  throw new ReplayError('STILL_REJECTED', `replaying ${letter}: the intake rejects it still: ${why}; send it mended from its source`)
}

function commandIn(record: BusRecord): Command | null {
  try {
    const event = decode(record)
    return event.kind === 'command' ? event.data : null
  } catch {
    // The sink, which keeps commands, makes a dead letter of it.
    return null
  }
}
