type Column = Uint8Array | Uint32Array

/** A column as base64 of its bytes, little-endian as every machine that runs Node. */
export function bytesText({ buffer, byteOffset, byteLength }: Column): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64')
}

/** Reads it back into a column; what does not fit is dropped. */
export function textBytes(text: string, column: Column): void {
  const bytes = Buffer.from(text, 'base64')
  new Uint8Array(column.buffer, column.byteOffset, column.byteLength).set(bytes.subarray(0, column.byteLength))
}
