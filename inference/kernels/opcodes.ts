/** Types of values by their names in WebAssembly's text format. */
export const valueTypes: Readonly<Record<string, number>> = { i32: 0x7f, v128: 0x7b }

/** Bytes of the instructions that take nothing but operands, and an offset where they read or write memory. */
export const opcodes: Readonly<Record<string, readonly number[]>> = {
  'i32.eqz': [0x45],
  'i32.lt_u': [0x49],
  'i32.add': [0x6a],
  'v128.load': [0xfd, 0x00],
  'v128.load64_splat': [0xfd, 0x0a],
  'v128.store': [0xfd, 0x0b],
  'v128.any_true': [0xfd, 0x53],
  'v128.load64_zero': [0xfd, 0x5d],
  'f64x2.lt': [0xfd, 0x49],
  'f64x2.promote_low_f32x4': [0xfd, 0x5f],
  'f64x2.add': [0xfd, 0xf0, 0x01],
  'f64x2.sub': [0xfd, 0xf1, 0x01],
  'f64x2.mul': [0xfd, 0xf2, 0x01],
  'f64x2.min': [0xfd, 0xf4, 0x01],
}
