import type { Action, Finding, Incident } from '../../../schemas/index.ts'
import type { ContainmentView, IncidentDetail, InstanceStatus, QueryResult, Unseen } from '../../port.ts'

export interface Rate {
  readonly at: number
  readonly outcome: string
  readonly events: number
}

/** One message of the live stream. */
export type Change =
  | { readonly type: 'incident'; readonly data: Incident }
  | { readonly type: 'finding'; readonly data: Finding }
  | { readonly type: 'containment'; readonly data: ContainmentView }

const place = 'cordon-token'

/** The token comes once in the address's fragment, which no server sees, and is kept for the tab's life. */
export function takeToken(): string | null {
  const given = /^#token=([\x21-\x7e]+)$/.exec(location.hash)?.[1]
  if (given !== undefined) {
    sessionStorage.setItem(place, given)
    history.replaceState(null, '', location.pathname)
  }
  return sessionStorage.getItem(place)
}

export function keepToken(token: string): void {
  sessionStorage.setItem(place, token)
}

export class ApiError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** What the API says of a refusal. */
interface Refusal {
  readonly detail?: string
  /** The header that takes a code of an authenticator, where one would do. */
  readonly header?: string
}

/** Asks the person for a code, with what the API said; null where they would rather not. */
export type AskCode = (why: string) => Promise<string | null>

export class Api {
  readonly #token: string
  readonly #askCode: AskCode
  constructor(token: string, askCode: AskCode) {
    this.#token = token
    this.#askCode = askCode
  }

  status = (): Promise<InstanceStatus> => this.#call('/api/status')
  incidents = (): Promise<{ incidents: Incident[] }> => this.#call('/api/incidents')
  findings = (): Promise<{ findings: Finding[] }> => this.#call('/api/findings?limit=500')
  incident = (id: string): Promise<IncidentDetail> => this.#call(`/api/incidents/${id}`)
  unseen = (incident: string): Promise<Unseen> => this.#call(`/api/incidents/${incident}/unseen`)
  containments = (): Promise<{ containments: ContainmentView[] }> => this.#call('/api/containments')
  release = (id: string): Promise<ContainmentView> => this.#call('/api/containments/release', { id, by: 'console' })
  approve = (id: string): Promise<Action> => this.#call('/api/actions/approve', { id, by: 'console' })

  /** Requests by outcome in ten-second steps over the last quarter of an hour. */
  async rates(now: number): Promise<Rate[]> {
    const since = new Date(now - 900_000).toISOString()
    const answer = await this.#call<QueryResult>('/api/query', {
      name: 'event-rates',
      params: { seconds: 10, since },
    })
    return answer.rows
      .filter((row) => row.kind === 'request')
      .map((row) => ({ at: Date.parse(String(row.at)), outcome: String(row.outcome), events: Number(row.events) }))
  }

  /** Calls back on every change until `signal` aborts or the server ends; resolves then. */
  async stream(onChange: (change: Change) => void, signal: AbortSignal): Promise<void> {
    const response = await fetch('/api/stream', { headers: { authorization: `Bearer ${this.#token}` }, signal })
    if (!response.ok || response.body === null) throw new ApiError(response.status, 'the stream was refused')
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    let rest = ''
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      const lines = (rest + value).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) if (line !== '') onChange(JSON.parse(line) as Change)
    }
  }

  async #call<T>(path: string, body?: object): Promise<T> {
    let code: Record<string, string> = {}
    for (;;) {
      const response = await fetch(path, {
        method: body === undefined ? 'GET' : 'POST',
        headers: { authorization: `Bearer ${this.#token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...code },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const answer = (await response.json()) as T & Refusal
      if (response.ok) return answer
      const why = answer.detail ?? `${path} answered ${response.status}`
      const given = answer.header === undefined ? null : await this.#askCode(why)
      if (answer.header === undefined || given === null) throw new ApiError(response.status, why)
      code = { [answer.header]: given }
    }
  }
}
