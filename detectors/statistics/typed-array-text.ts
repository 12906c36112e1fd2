/**
 * Typed arrays in JSON snapshots: base64 of their bytes, little-endian as every machine that runs Node. By `Buffer`, since
 * `btoa` takes 10 ms for a mebibyte, and a partition waits for it.
 */
export function textOf({ buffer, byteOffset, byteLength }: Int16Array | Uint32Array | Float64Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64')
}

export function int16Of(text: string): Int16Array {
  return new Int16Array(bytesOf(text, Int16Array.BYTES_PER_ELEMENT))
}

export function uint32Of(text: string): Uint32Array {
  return new Uint32Array(bytesOf(text, Uint32Array.BYTES_PER_ELEMENT))
}

export function float64Of(text: string): Float64Array {
  return new Float64Array(bytesOf(text, Float64Array.BYTES_PER_ELEMENT))
}

/** What is left of the last, incomplete value is dropped. */
function bytesOf(text: string, size: number): ArrayBuffer {
  const bytes = Buffer.from(text, 'base64')
  const whole = bytes.length - (bytes.length % size)
  // A copy: the buffer may lie anywhere in a pool, and a view must begin at a multiple of its size.
  return new Uint8Array(bytes.subarray(0, whole)).buffer
}
