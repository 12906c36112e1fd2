import { CordonError } from '../schemas/index.ts'

/**
 * What can go wrong with the audit trail.
 *
 * - `AUDIT_UNUSABLE`: its directory, its key or its journal cannot be made or read; nothing may be served unrecorded.
 * - `AUDIT_UNREADABLE`: what was given is no export, no proof, no checkpoint or no key.
 * - `AUDIT_UNKNOWN`: no record of that id, or none that a checkpoint covers yet.
 */
export type AuditErrorCode = 'AUDIT_UNUSABLE' | 'AUDIT_UNREADABLE' | 'AUDIT_UNKNOWN'

export class AuditError extends CordonError<AuditErrorCode> {
  constructor(code: AuditErrorCode, message: string, options?: { cause?: unknown }) {
    super(code, message, options)
    this.name = 'AuditError'
  }
}
