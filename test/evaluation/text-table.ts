import { quantileOf } from './intervals.ts'
import type { Table } from './results.ts'

/** A table for a terminal. Control characters become spaces: names may come from files. */
export function textTable({ title, note, columns, rows }: Table): string {
  const cells = [columns, ...rows.map((row) => row.cells)].map((row) => row.map((cell) => plainText(cell ?? '–')))
  const marks = ['', ...rows.map(({ checks }) => plainText(checks.map(({ met, goal }) => `${met ? 'met' : 'MISSED'}: ${goal}`).join('; ')))]
  const widths = columns.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  const lines = cells.map((row, i) => `${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}  ${marks[i]}`.trimEnd())
  return [`\n${plainText(title)}`, plainText(note), '', ...lines, ''].join('\n')
}

function plainText(cell: string | number): string {
  return String(cell).replaceAll(/\p{C}/gu, ' ')
}

/** `median / p95` over all runs; – where it lies among those without. */
export function pair(values: readonly (number | null)[]): string {
  const found = values.flatMap((value) => value ?? [])
  return [0.5, 0.95].map((share) => quantileOf(found, values.length, share) ?? '–').join(' / ')
}

export function percent(share: number): string {
  return `${Math.round(share * 1_000) / 10} %`
}
