/**
 * Makes rows orthonormal in place (modified Gram–Schmidt, done twice for accuracy).
 *
 * @param rows `[count, width]` row-major, linearly independent
 */
export function orthonormalise(rows: Float64Array, count: number, width: number): void {
  for (let pass = 0; pass < 2; pass++) {
    for (let i = 0; i < count; i++) {
      const row = rows.subarray(i * width, (i + 1) * width)
      for (let j = 0; j < i; j++) {
        const other = rows.subarray(j * width, (j + 1) * width)
        const along = dot(row, other)
        for (let c = 0; c < width; c++) row[c] = (row[c] as number) - along * (other[c] as number)
      }
      const length = Math.sqrt(dot(row, row)) || 1
      for (let c = 0; c < width; c++) row[c] = (row[c] as number) / length
    }
  }
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number)
  return sum
}
