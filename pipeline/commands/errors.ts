import { CordonError } from '../../schemas/index.ts'

export type CommandErrorCode =
  | 'ORDER_INVALID' // it could not be read where it is carried out, so it was not sent
  | 'COMMAND_EXPIRED' // it was read too late, or its time cannot be: nothing was done
  | 'COMMAND_TIMEOUT' // nobody answered
  | 'COMMAND_FAILED' // carrying it out failed for no reason that is foreseen
  | 'COMMANDER_CLOSED'

export class CommandError extends CordonError<CommandErrorCode> {
  constructor(code: CommandErrorCode, message: string, options?: { cause?: unknown }) {
    super(code, message, options)
    this.name = 'CommandError'
  }
}
