import { useCallback, useMemo, useState } from 'react'
import { Api, keepToken } from './api.ts'
import { CodePrompt, useCodePrompt } from './code-prompt.tsx'
import { Containments } from './containments.tsx'
import { IncidentPage } from './incident-page.tsx'
import { IncidentQueue } from './incident-queue.tsx'
import { useLive } from './live.ts'
import { RateChart } from './rate-chart.tsx'
import { StatusBar } from './status-bar.tsx'

export function App({ initialToken }: { initialToken: string | null }) {
  const [token, setToken] = useState(initialToken)
  const forget = useCallback(() => setToken(null), [])
  if (token === null) return <SignIn onToken={setToken} />
  return <Console token={token} onRefused={forget} />
}

function Console({ token, onRefused }: { token: string; onRefused: () => void }) {
  const prompt = useCodePrompt()
  const { ask } = prompt
  const api = useMemo(() => new Api(token, ask), [token, ask])
  const live = useLive(api, onRefused)
  const [chosen, choose] = useState<string | null>(null)
  const shown = chosen ?? live.incidents[0]?.id ?? null
  return (
    <div className="console">
      <StatusBar status={live.status} connected={live.connected} />
      <RateChart rates={live.rates} now={live.ratesAt} findings={live.findings} />
      <main>
        <IncidentQueue incidents={live.incidents} chosen={shown} onChoose={choose} />
        {shown === null ? (
          <section className="panel empty">
            <h2>Nothing to review</h2>
            <p>No detector has raised anything. Ordinary traffic goes on above.</p>
          </section>
        ) : (
          <IncidentPage key={shown} id={shown} api={api} changes={live.changes} />
        )}
      </main>
      {prompt.asked !== null && <CodePrompt key={prompt.asked.number} asked={prompt.asked} />}
      <Containments containments={live.containments} api={api} onChanged={live.refresh} />
    </div>
  )
}

function SignIn({ onToken }: { onToken: (token: string) => void }) {
  const [text, setText] = useState('')
  return (
    <form
      className="sign-in panel"
      onSubmit={(event) => {
        event.preventDefault()
        keepToken(text.trim())
        onToken(text.trim())
      }}
    >
      <h1>Cordon</h1>
      <label htmlFor="token">
        Access token: of your account, or the file <code>token</code> in the data directory, or open the address that{' '}
        <code>cordon start</code> prints
      </label>
      <input id="token" type="password" autoComplete="off" value={text} onChange={(event) => setText(event.target.value)} />
      <button type="submit" disabled={text.trim() === ''}>
        Open
      </button>
    </form>
  )
}
