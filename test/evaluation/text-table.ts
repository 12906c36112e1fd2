import type { Table } from './results.ts'

/** A table for a terminal. Control characters become spaces: names may come from files. */
export function textTable({ title, note, columns, rows }: Table): string {
  const cells = [columns, ...rows.map((row) => row.cells)].map((row) => row.map((cell) => plainText(cell ?? '–')))
  const marks = ['', ...rows.map(({ checks }) => checks.map(({ met, goal }) => `${met ? 'met' : 'MISSED'}: ${goal}`).join('; '))]
  const widths = columns.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  const lines = cells.map((row, i) => `${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}  ${marks[i]}`.trimEnd())
  return [`\n${plainText(title)}`, plainText(note), '', ...lines, ''].join('\n')
}

function plainText(cell: string | number): string {
  return String(cell).replaceAll(/\p{C}/gu, ' ')
}
