import { CordonError } from '../../schemas/index.ts'

export type FingerprintErrorCode =
  | 'PROFILE_MALFORMED' // not a reference profile, cut short, or its digest does not match
  | 'PROFILE_UNSUPPORTED' // written by a newer version
  | 'KEY_LENGTH' // the fingerprint key is not 32 bytes
  | 'INPUT_LENGTH' // the input has another number of values than the profile
  | 'INPUTS_UNREADABLE' // the file of reference inputs is not there, or not of a kind that is read
  | 'INPUT_NOT_FINITE' // the input has NaN, infinities, or values whose squares are infinite
  | 'REFERENCE_TOO_SMALL' // too few reference inputs to build a profile from

export class FingerprintError extends CordonError<FingerprintErrorCode> {}
