import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadScripture } from '../../../inference/datasets/scripture.ts'
import { RedactionConfiguration } from '../../../inference/redaction/configuration.ts'
import { Finder } from '../../../inference/redaction/finder.ts'
import { corpusOf, lineOf, scoreOf } from './corpus.ts'

const finder = new Finder(RedactionConfiguration.parse({}))

test('of a corpus with as many that only look alike, nearly all is found and nearly nothing else', () => {
  // Eighteen templates in turn, seven of them personal.
  const scores = scoreOf(finder, corpusOf(1_800, 7))
  assert.deepEqual(scores.map(({ kind }) => kind).sort(), ['card', 'email', 'iban', 'ip', 'phone', 'secret', 'ssn'])
  for (const score of scores) {
    assert.equal(score.found + score.missed, 100)
    assert(score.missed <= 1 && score.wrong <= 1, lineOf(score))
  }
})

test('of a thousand sentences of prose, none has anything', () => {
  const verses = loadScripture().held.split('\n').slice(0, 1_000)
  assert.deepEqual(
    verses.filter((verse) => finder.find(verse, finder.phones()).length > 0),
    [],
  )
})
