import { CordonError } from '../schemas/error.ts'

export type CliErrorCode = 'CONFIG_UNREADABLE' | 'CONFIG_INVALID' | 'NOT_RUNNING' | 'REFUSED' | 'USAGE' | 'PORT_IN_USE' | 'START_FAILED'

/** What went wrong at the command line, with what to do in the message. Exit status 2 for `USAGE` and `CONFIG_*`, else 1. */
export class CliError extends CordonError<CliErrorCode> {}
