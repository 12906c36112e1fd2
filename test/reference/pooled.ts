/** A square grey image as means of blocks of `block × block` pixels; what stands for an encoder where a paper trains one. */
export function pooled(image: Float32Array, block = 4): Float32Array {
  const side = Math.round(Math.sqrt(image.length))
  const cells = Math.ceil(side / block)
  const out = new Float32Array(cells * cells)
  for (let i = 0; i < image.length; i++) {
    const cell = Math.floor(Math.floor(i / side) / block) * cells + Math.floor((i % side) / block)
    out[cell] = (out[cell] ?? 0) + (image[i] ?? 0) / (block * block)
  }
  return out
}

export function squaredDistance(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += ((a[i] as number) - (b[i] as number)) ** 2
  return sum
}
