/** A request that the model cannot answer: becomes status 400 in the API's shape. The message repeats nothing of the request. */
export class RequestError extends Error {
  /** The field that is at fault. */
  readonly param: string

  constructor(param: string, message: string) {
    super(message)
    this.name = 'RequestError'
    this.param = param
  }

  toJSON() {
    return { error: { message: this.message, type: 'invalid_request_error', param: this.param, code: 'unsupported_value' } }
  }
}
