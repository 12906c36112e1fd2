import { CordonError } from '../../schemas/index.ts'

/**
 * What can be wrong with a message of the Open Inference Protocol.
 *
 * - `MALFORMED`: no JSON in UTF-8, or a header length that the body does not have.
 * - `FIELD_INVALID`: a field is missing, unknown or not what the protocol says.
 * - `DATATYPE_UNSUPPORTED`: a datatype that the protocol or this codec does not know, BF16 among them.
 * - `SIZE_MISMATCH`: data, shape and `binary_data_size` do not say the same, or bytes are left over.
 * - `VALUE_INVALID`: a value that its datatype, or the model's range, does not have.
 * - `TOO_LARGE`: more tensors or bytes than the limits allow.
 */
export type OipErrorCode = 'MALFORMED' | 'FIELD_INVALID' | 'DATATYPE_UNSUPPORTED' | 'SIZE_MISMATCH' | 'VALUE_INVALID' | 'TOO_LARGE'

/** Its message says where, and never repeats the data. */
export class OipError extends CordonError<OipErrorCode> {
  constructor(code: OipErrorCode, message: string, options?: { cause?: unknown }) {
    super(code, message, options)
    this.name = 'OipError'
  }
}
