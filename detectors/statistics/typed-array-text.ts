/** Typed arrays in JSON snapshots: base64 of their bytes. */
export function textOf(array: Int16Array | Float32Array): string {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
  let text = ''
  // String.fromCharCode takes its arguments on the stack: a few thousand at a time.
  for (let i = 0; i < bytes.length; i += 4_096) text += String.fromCharCode(...bytes.subarray(i, i + 4_096))
  return btoa(text)
}

/** @throws DOMException when the text is not base64 */
export function int16Of(text: string): Int16Array {
  const bytes = atob(text)
  const array = new Uint8Array(bytes.length - (bytes.length % 2))
  for (let i = 0; i < array.length; i++) array[i] = bytes.charCodeAt(i)
  return new Int16Array(array.buffer)
}
