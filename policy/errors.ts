import { CordonError } from '../schemas/index.ts'

/**
 * What can go wrong with policies.
 *
 * - `POLICIES_UNREADABLE`: their folder or a file in it cannot be read, or is too large.
 * - `POLICIES_INVALID`: they do not parse, or do not fit the schema; the message has every place.
 * - `CASES_INVALID`: a file of test cases is not what it has to be.
 * - `COUNTRIES_UNREADABLE`: the database of countries cannot be read.
 */
export type PolicyErrorCode = 'POLICIES_UNREADABLE' | 'POLICIES_INVALID' | 'CASES_INVALID' | 'COUNTRIES_UNREADABLE'

export class PolicyError extends CordonError<PolicyErrorCode> {}
