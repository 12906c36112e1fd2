import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { it } from 'node:test'

it('docs/reference.md is what the definitions say', () => {
  assert.match(execFileSync(process.execPath, ['scripts/write-docs.ts', '--check'], { encoding: 'utf8' }), /matches/)
})
