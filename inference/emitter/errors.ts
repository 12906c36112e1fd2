import { CordonError } from '../../schemas/index.ts'

/**
 * What can go wrong with the spool.
 *
 * - `SPOOL_UNUSABLE`: its directory cannot be made, read or written, or another process has it; the node must not start without one.
 * - `DISK_REFUSED`: the disk took nothing of what was written.
 * - `FRAME_TOO_LARGE`: one record is larger than the spool takes.
 */
export type EmitterErrorCode = 'SPOOL_UNUSABLE' | 'DISK_REFUSED' | 'FRAME_TOO_LARGE'

export class EmitterError extends CordonError<EmitterErrorCode> {
  constructor(code: EmitterErrorCode, message: string, options?: { cause?: unknown }) {
    super(code, message, options)
    this.name = 'EmitterError'
  }
}
