import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { reportPage } from './report.ts'
import type { SuiteResult } from './results.ts'
import { textTable } from './text-table.ts'

const hostile = `</script><img src=x onerror="alert('1')">&amp;\u001b[31m`
const about = { split: 'development', seeds: '1', delayMs: 5, runs: 1, seconds: 1 }
const rows = [{ cells: [hostile, 1, null], checks: [{ goal: hostile, met: false }] }]
const result: SuiteResult = {
  suite: hostile,
  tables: [{ title: hostile, note: hostile, columns: [hostile, 'b', 'c'], rows }],
  curves: [
    {
      title: hostile,
      across: hostile,
      up: hostile,
      lines: [
        {
          name: hostile,
          dashed: true,
          points: [
            [0, 0],
            [4, 1],
          ],
        },
      ],
    },
  ],
  raw: null,
}

describe('the report', () => {
  it('shows what comes from files as text, wherever it stands', () => {
    const page = reportPage({ ...about, split: hostile, seeds: hostile }, [result])
    assert.ok(!page.includes('<img') && !page.includes('</script') && !page.includes('onerror="'))
    assert.ok(page.includes('&lt;/script&gt;&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;amp;'))
  })

  it('holds no script and fetches nothing', () => {
    const page = reportPage(about, [{ ...result, suite: 'query', tables: [], curves: [] }])
    assert.doesNotMatch(page, /<script|src=|href=|url\(|@import/)
  })

  it('draws a line to the end of its axis: what was found by query 4 of 5 stays found', () => {
    const page = reportPage(about, [result])
    assert.match(page, /<polyline points="44,206 338.4,8 412,8"/)
  })

  it('marks what misses its goal', () => {
    assert.match(reportPage(about, [result]), /<span class="missed">✗ /)
    assert.match(textTable({ title: '', note: '', columns: ['a'], rows: [{ cells: [1], checks: [{ goal: 'g', met: true }] }] }), /met: g/)
  })

  it('keeps control characters off the terminal', () => {
    assert.ok(!textTable(result.tables[0] as never).includes('\u001b'))
  })
})
