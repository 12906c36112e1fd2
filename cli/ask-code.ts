import { createInterface } from 'node:readline/promises'

/** Asks the person at the terminal for a code; null where there is none. On standard error: the output may be piped. */
export async function askCode(question: string): Promise<string | null> {
  if (!process.stdin.isTTY) return null
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return (await terminal.question(question)).replaceAll(/\s/g, '')
  } finally {
    terminal.close()
  }
}
