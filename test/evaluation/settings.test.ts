import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { readSettings } from './settings.ts'

const nowhere = join(tmpdir(), 'cordon', 'no', 'such', 'folder')

describe("the evaluation's command line", () => {
  it('asks for every suite on the held-back split by default', () => {
    const { suites, split, data, report, runs } = readSettings([])
    assert.deepEqual(
      { suites: suites.length, split, data, report, runs },
      { suites: 4, split: 'held-back', data: null, report: null, runs: 10 },
    )
  })

  const wrong: readonly (readonly [args: readonly string[], message: RegExp])[] = [
    [['--suite', 'query,images'], /^--suite: there is no "images"; there are query, extraction, prompts, benign$/],
    [['--split', 'all'], /^--split: there is no "all"/],
    [['--runs', '0'], /^--runs: give a whole number of at least 1$/],
    [['--data', nowhere], /^--data: there is no folder /],
    [['--report', join(nowhere, 'page.html')], /^--report: there is no folder /],
    [['--fast'], /--fast/],
  ]
  for (const [args, message] of wrong) {
    it(`refuses ${args[0]} ${args[1]?.startsWith(tmpdir()) ? 'to nowhere' : (args[1] ?? '')} before anything runs`, () => {
      assert.throws(() => readSettings(args), { message })
    })
  }
})
