import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { addressKey, type Recorded } from './orders.ts'
import type { Fired, Shot } from './shots.ts'

/** An answer, without its body. */
export interface Answer {
  readonly status: number
  readonly headers: string
}

interface Entry {
  readonly plain: boolean
  /** Its client waited for its answer, and nothing on its connection was a reason to close it. */
  readonly awaited: boolean
  readonly connection: number
  /** What its client was told; undefined where nothing came that is surely its answer. */
  answered: number | undefined
  recorded: { readonly outcome: string; readonly status: number } | undefined
}

/** Which outcomes go with a status; the client of `aborted` was told nothing, or not all. */
const outcomesOf: Readonly<Record<string, readonly string[]>> = {
  200: ['served', 'aborted', 'failed'],
  401: ['unauthenticated'],
  403: ['denied'],
  429: ['throttled'],
  499: ['aborted'],
  503: ['overloaded', 'quarantined'],
}

const heads = /HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n/g

/** The answers in what came over a connection; those that only say to go on are none. */
export function answersIn(text: string): Answer[] {
  const all = [...text.matchAll(heads)].map(([, digits, headers = '']) => ({ status: Number(digits), headers }))
  return all.filter(({ status }) => status >= 200)
}

/** Keeps of each request what its client was told and what the node wrote down, and says whether these are the same. */
export class Ledger {
  readonly #entries = new Map<string, Entry>()
  /** Of each connection: answers, or that the node closed it for what came over it. */
  readonly #told: number[] = []
  /** Of each connection: requests that are written down. */
  readonly #written: number[] = []
  /** Events of requests whose connection is not over yet. */
  readonly #early = new Map<string, { readonly outcome: string; readonly status: number }[]>()
  #disposed = 0
  readonly faults: string[] = []

  /** Requests that the node really received and disposed of: each connection's answers, or events where there are more of them. */
  get disposed(): number {
    return this.#disposed
  }

  /** To be called when a connection is over. */
  close(shot: Shot, answers: readonly Answer[]): void {
    const connection = this.#told.length
    const { fired, end } = shot
    const known = answers.slice(0, closesEarly(answers) && !ends(shot, answers) ? -1 : undefined)
    const awaited = end === 'wait' && fired.every(({ plain }) => plain) && (fired.length === answers.length || !closesEarly(answers))
    if (awaited && fired.length !== answers.length) this.faults.push(`${fired.length} good requests, ${answers.length} answers`)
    const closedUnsaid = end === 'wait' && answers.length === 0 ? 1 : 0
    this.#told.push(Math.min(fired.length, answers.length + closedUnsaid))
    this.#written.push(0)
    this.#count(connection, 0)
    fired.forEach((request, index) => this.#enter(request, { connection, awaited, answered: known[index]?.status }))
  }

  /** Events come at any time, also before their connection is over. */
  record(recorded: Recorded['recorded']): void {
    for (const [agent, outcome, status] of recorded) {
      const entry = this.#entries.get(agent)
      if (entry?.recorded !== undefined) this.faults.push(`two events of one request: ${entry.recorded.status} and ${status}`)
      else if (entry !== undefined) this.#write(entry, { outcome, status })
      else this.#early.set(agent, [...(this.#early.get(agent) ?? []), { outcome, status }])
    }
  }

  /** Every request, once all is over: an answer and an event of one request say the same. */
  check(): { readonly matched: number; readonly requests: number } {
    let matched = 0
    for (const { plain, awaited, answered, recorded } of this.#entries.values()) {
      if (recorded !== undefined) {
        const fitting = outcomesOf[recorded.status] ?? ['invalid']
        if (!fitting.includes(recorded.outcome)) this.faults.push(`${recorded.outcome} with ${recorded.status}`)
      }
      if (answered === undefined) continue
      if (recorded === undefined && plain) this.faults.push(`an answer ${answered} without an event`)
      // Who leaves, or is cut off, has perhaps seen the head of a stream.
      if (recorded?.status === 499 && answered === 200 && !awaited) continue
      if (recorded !== undefined && recorded.status !== answered) this.faults.push(`answered ${answered}, recorded ${recorded.status}`)
      if (recorded !== undefined) matched++
    }
    assert.deepEqual(this.faults.slice(0, 20), [], `${this.faults.length} faults`)
    return { matched, requests: this.#entries.size }
  }

  #enter({ agent, plain }: Fired, told: Pick<Entry, 'connection' | 'awaited' | 'answered'>): void {
    const pseudonym = createHmac('sha256', addressKey).update(`agent\0${agent}`).digest('hex').slice(0, 32)
    const entry: Entry = { plain, ...told, recorded: undefined }
    this.#entries.set(pseudonym, entry)
    const early = this.#early.get(pseudonym) ?? []
    this.#early.delete(pseudonym)
    this.record(early.map(({ outcome, status }) => [pseudonym, outcome, status]))
  }

  #write(entry: Entry, recorded: Entry['recorded']): void {
    entry.recorded = recorded
    this.#count(entry.connection, 1)
  }

  #count(connection: number, more: number): void {
    const told = this.#told[connection] ?? 0
    const before = this.#written[connection] ?? 0
    this.#written[connection] = before + more
    this.#disposed += more === 0 ? told : Math.max(told, before + more) - Math.max(told, before)
  }
}

/**
 * Whether the last answer is surely that to the last request: what cannot be read, be it cut off or left over of a body that said it
 * was shorter, is answered at once, before requests that still run.
 */
function ends({ fired, end }: Shot, answers: readonly Answer[]): boolean {
  if (fired.length > answers.length) return false
  return (end === 'wait' && fired.every(({ plain }) => plain)) || ![400, 408, 431].includes(answers.at(-1)?.status ?? 0)
}

/** Whether the last answer ended the connection: where others were still due it is whatever could not be read that it answers. */
function closesEarly(answers: readonly Answer[]): boolean {
  return /^connection: close\r?$/im.test(answers.at(-1)?.headers ?? '')
}
