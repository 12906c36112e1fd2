import { useCallback, useEffect, useState } from 'react'
import type { Finding, Incident } from '../../../schemas/index.ts'
import type { ContainmentView, InstanceStatus } from '../../port.ts'
import { type Api, ApiError, type Rate } from './api.ts'

export interface Live {
  readonly connected: boolean
  readonly status: InstanceStatus | null
  /** The queue: open before contained before closed, severe before mild, new before old. */
  readonly incidents: readonly Incident[]
  readonly findings: readonly Finding[]
  readonly containments: readonly ContainmentView[]
  readonly rates: readonly Rate[]
  /** When the rates were read. */
  readonly ratesAt: number
  /** Counts changes, for what wants to read again. */
  readonly changes: number
  refresh(): void
}

const kept = 500
const order = { open: 0, contained: 1, closed: 2 } as const
const severity = ['info', 'low', 'medium', 'high', 'critical']

function queue(incidents: Iterable<Incident>): Incident[] {
  return [...incidents].sort(
    (a, b) => order[a.state] - order[b.state] || severity.indexOf(b.severity) - severity.indexOf(a.severity) || b.updatedAt - a.updatedAt,
  )
}

/** Reads everything once, then follows the stream; reads again whenever the stream had to be opened anew. */
export function useLive(api: Api, onRefused: () => void): Live {
  const [connected, setConnected] = useState(false)
  const [status, setStatus] = useState<InstanceStatus | null>(null)
  const [incidents, setIncidents] = useState<readonly Incident[]>([])
  const [findings, setFindings] = useState<readonly Finding[]>([])
  const [containments, setContainments] = useState<readonly ContainmentView[]>([])
  const [rates, setRates] = useState<readonly Rate[]>([])
  const [ratesAt, setRatesAt] = useState(0)
  const [changes, setChanges] = useState(0)

  const refresh = useCallback(() => {
    void api.incidents().then(
      (answer) => setIncidents(queue(answer.incidents)),
      () => {},
    )
    void api.findings().then(
      (answer) => setFindings(answer.findings),
      () => {},
    )
    void api.containments().then(
      (answer) => setContainments(answer.containments),
      () => {},
    )
    setChanges((n) => n + 1)
  }, [api])

  useEffect(() => {
    const abort = new AbortController()
    const follow = async (signal: AbortSignal): Promise<void> => {
      for (let pause = 500; !signal.aborted; pause = Math.min(8_000, pause * 2)) {
        try {
          setStatus(await api.status())
          refresh()
          setConnected(true)
          pause = 500
          await api.stream((change) => {
            setChanges((n) => n + 1)
            if (change.type === 'incident') setIncidents((all) => queue([change.data, ...all.filter((i) => i.id !== change.data.id)]))
            if (change.type === 'finding') setFindings((all) => [...all.slice(1 - kept), change.data])
            if (change.type === 'containment') setContainments((all) => [...all.filter((c) => c.id !== change.data.id), change.data])
          }, signal)
        } catch (error) {
          if (error instanceof ApiError && error.status === 401) return onRefused()
        }
        if (!signal.aborted) setConnected(false)
        await new Promise((resolve) => setTimeout(resolve, pause))
      }
    }
    void follow(abort.signal)
    return () => abort.abort()
  }, [api, refresh, onRefused])

  useEffect(() => {
    const read = () => {
      void api.status().then(setStatus, () => {})
      void api.rates(Date.now()).then(
        (read) => {
          setRates(read)
          setRatesAt(Date.now())
        },
        () => {},
      )
    }
    read()
    const timer = setInterval(read, 3_000)
    return () => clearInterval(timer)
  }, [api])

  return { connected, status, incidents, findings, containments, rates, ratesAt, changes, refresh }
}
