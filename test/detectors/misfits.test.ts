import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'

/** What the suite must catch: a detector, and (a part of) the name of the test that fails on it. */
const expected: readonly (readonly [string, string])[] = [
  ['jumpy', 'silent on benign traffic'],
  ['late', 'fires within 5 events'],
  ['impure', 'equal input gives equal findings'],
  ['forgetful', 'a snapshot taken anywhere'],
  ['unwritable', 'survives its schema'],
  ['fragile', 'never make it throw'],
  ['meddling', 'fires within 5 events'],
]

it('the contract suite catches detectors that break it', () => {
  const misfits = fileURLToPath(new URL('../contracts/misfits.ts', import.meta.url))
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const { stdout } = spawnSync(process.execPath, ['--test', '--test-reporter=tap', misfits], { encoding: 'utf8', env })
  const blocks = new Map<string, string>()
  for (const block of stdout.split(/^# Subtest: /m).slice(1)) blocks.set(block.slice(0, block.indexOf(' ')), block)
  assert.doesNotMatch(blocks.get('sound') ?? 'not ok', /not ok/)
  for (const [id, name] of expected) {
    assert.match(blocks.get(id) ?? '', new RegExp(`not ok \\d+ - .*${name}`), `the suite did not catch ${id}`)
  }
})
