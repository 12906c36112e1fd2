export interface Message {
  readonly role: string
  readonly text: string
}

/**
 * A chat as text: a line `role: text` for each message. The answer is the line after them, so a newline ends it.
 *
 * The model knows nothing of roles: it goes on with a text of which it sees the last characters.
 */
export function flatten(messages: readonly Message[]): string {
  return messages.map(({ role, text }) => `${role}: ${text}\n`).join('')
}
