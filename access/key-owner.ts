import { type Instant, type Key, Name } from '../schemas/index.ts'
import { AccessError } from './errors.ts'

/** @throws AccessError `PRINCIPAL_INVALID` where these cannot belong to a key */
export function checkOwner(
  { principal, organization, expiresAt }: Pick<Key, 'principal' | 'organization' | 'expiresAt'>,
  now: Instant,
): void {
  const wrong = (what: string) => new AccessError('PRINCIPAL_INVALID', `Making a key: ${what}.`)
  if (!Name.safeParse(principal).success) throw wrong('the principal must be letters, digits and . _ @ + : -, at most 128 of them')
  if (principal === 'anonymous') throw wrong('the principal `anonymous` stands for requests without a key')
  if (organization !== null && !Name.safeParse(organization).success) throw wrong('the organization is not a valid name')
  if (expiresAt !== null && !(Number.isSafeInteger(expiresAt) && expiresAt > now)) throw wrong('the expiry is not a moment in the future')
}
