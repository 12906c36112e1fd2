/**
 * The base of every coded error. Each boundary declares its own closed union of codes and a subclass or alias;
 * branch on `code`, never on the message. The message says what was being done and what to do about it.
 */
export class CordonError<Code extends string = string> extends Error {
  readonly code: Code

  constructor(code: Code, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'CordonError'
    this.code = code
  }
}
