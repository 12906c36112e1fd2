import type { Instant } from '../schemas/index.ts'
import type { Authentication, Credentials, Identity } from './identity.ts'

/** Verifies bearers of one kind, which it knows by their shape: the tokens that Cordon issues itself. */
export interface BearerVerifier {
  takes(bearer: string): boolean
  authenticate(bearer: string, credentials: Credentials, now: Instant): Authentication | Promise<Authentication>
  /** Asked for identities of the method `token`. */
  isGood(identity: Identity, now: Instant): boolean
}
