import { useCallback, useRef, useState } from 'react'
import type { AskCode } from './api.ts'

interface Asked {
  /** Of several questions one after the other, so that each begins with an empty field. */
  readonly number: number
  /** What the API said. */
  readonly why: string
  readonly answer: (code: string | null) => void
}

/** Asks for the code of an authenticator when an action needs one. A second question while one is open declines the first. */
export function useCodePrompt(): { readonly asked: Asked | null; readonly ask: AskCode } {
  const [asked, setAsked] = useState<Asked | null>(null)
  const open = useRef<Asked | null>(null)
  const count = useRef(0)
  const ask = useCallback<AskCode>(
    (why) =>
      new Promise((resolve) => {
        open.current?.answer(null)
        count.current++
        const asking: Asked = {
          number: count.current,
          why,
          answer: (code) => {
            resolve(code)
            if (open.current !== asking) return
            open.current = null
            setAsked(null)
          },
        }
        open.current = asking
        setAsked(asking)
      }),
    [],
  )
  return { asked, ask }
}

export function CodePrompt({ asked }: { asked: Asked }) {
  const [code, setCode] = useState('')
  return (
    <form
      className="code-prompt panel"
      aria-label="Second factor"
      onSubmit={(event) => {
        event.preventDefault()
        asked.answer(code)
      }}
      onKeyDown={(event) => {
        if (event.key === 'Escape') asked.answer(null)
      }}
    >
      <label htmlFor="code">{asked.why}</label>
      <input
        id="code"
        inputMode="numeric"
        autoComplete="one-time-code"
        maxLength={6}
        // Without a click: the person has just asked for what needs it.
        autoFocus
        value={code}
        onChange={(event) => setCode(event.target.value.replaceAll(/[^0-9]/g, ''))}
      />
      <p>
        <button type="submit" disabled={code.length !== 6}>
          Go on
        </button>
        <button type="button" onClick={() => asked.answer(null)}>
          Cancel
        </button>
      </p>
    </form>
  )
}
