import type { Tensor } from '../../port.ts'

/**
 * Triton's classification of an output: the largest values of each row as `value:index:label`, the largest first, and
 * of equal ones the first.
 *
 * @param tensor `[items, classes]`
 * @param wanted how many of a row; a row that has fewer gives all it has
 * @returns BYTES `[items, …]`
 */
export function classify(tensor: Tensor, data: Float32Array, classes: number, wanted: number, labels: readonly string[]): Tensor {
  const count = Math.min(wanted, classes)
  const texts: Uint8Array[] = []
  for (let row = 0; row < data.length; row += classes) {
    const values = data.subarray(row, row + classes)
    for (const index of largest(values, count)) {
      const label = labels[index]
      texts.push(Buffer.from(`${values[index]?.toFixed(6)}:${index}${label === undefined ? '' : `:${label}`}`))
    }
  }
  return { name: tensor.name, datatype: 'BYTES', shape: [tensor.shape[0] ?? 1, count], data: texts }
}

function largest(values: Float32Array, count: number): readonly number[] {
  const order = Array.from(values, (_, index) => index)
  order.sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0) || a - b)
  return order.slice(0, count)
}
