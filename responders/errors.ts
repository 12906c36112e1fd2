import { CordonError } from '../schemas/index.ts'

export type ResponderErrorCode =
  | 'PLAYBOOK_INVALID' // the message lists every problem with its place
  | 'RESPONDER_UNKNOWN'
  | 'PARAMETERS_INVALID' // a responder's own schema refused them
  | 'TARGET_UNSUITED' // the responder cannot act on that kind of target
  | 'DURATION_UNSUITED' // zero, negative, or over the longest lease
  | 'LEASES_FULL' // the bound on active leases is reached
  | 'LEASE_REFUSED' // the state of the lease forbids it
  | 'NOT_IN_CHARGE' // another process writes containments now; this one stands by

export class ResponderError extends CordonError<ResponderErrorCode> {}
