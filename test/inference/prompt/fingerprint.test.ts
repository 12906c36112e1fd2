import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { openPromptFingerprinter, type PromptFingerprint } from '../../../inference/prompt/fingerprint.ts'
import { seeded } from '../../attacks/random.ts'
import { type Script, sampleText, scripts } from './sample-texts.ts'

const key = (value: number) => new Uint8Array(32).fill(value)
const open = (value = 1, epoch = 1) => openPromptFingerprinter({ key: key(value), epoch, now: () => 0 })
const said = (text: string) => [{ role: 'user', text }]

function chunksOf({ chunks }: PromptFingerprint) {
  const bytes = Buffer.from(chunks, 'base64')
  return Array.from({ length: bytes.length / 6 }, (_, i) => ({
    hash: bytes.readUInt32LE(i * 6),
    length: bytes[i * 6 + 4] ?? 0,
    surprise: (bytes[i * 6 + 5] ?? 0) / 8,
  }))
}
const hashesOf = (fingerprint: PromptFingerprint) => chunksOf(fingerprint).map(({ hash }) => hash)
const shared = (a: PromptFingerprint, b: PromptFingerprint) =>
  hashesOf(a).filter((hash) => hashesOf(b).includes(hash)).length / hashesOf(a).length

const text =
  'The harbour master wrote down every ship that came in before noon, what she carried, and who had paid for the berth; the ledger is in the town hall, and the children of the town learn to read from it.'

describe('a prompt fingerprint', () => {
  it('is the same for the same text, and nothing of it without the key, the epoch and the model', () => {
    const own = open().fingerprint('m', said(text))
    assert.deepEqual(open().fingerprint('m', said(text)), own)
    for (const other of [
      open(2).fingerprint('m', said(text)),
      open(1, 2).fingerprint('m', said(text)),
      open().fingerprint('n', said(text)),
    ]) {
      assert.equal(shared(own, other), 0)
      // Where it is cut is secret too.
      assert.notDeepEqual(
        chunksOf(own).map(({ length }) => length),
        chunksOf(other).map(({ length }) => length),
      )
    }
    assert.notEqual(open(2).fingerprint('m', said(text)).exact, own.exact)
    assert.notEqual(open(2).hashOf(text), open().hashOf(text))
  })

  it('is the same in every version, but for its surprise, which names that Node knows are part of', () => {
    // A digest of the chunks' hashes and lengths, the exact hash, the bytes.
    const known: Record<Script, string> = {
      latin: '25902740b2354a3d e063b8462c78652e 454',
      cyrillic: 'f31a496644515fa2 ed81f9a6b4b95bbb 740',
      cjk: 'd5fd353c16429255 167f71cd3bcae7b1 1060',
      emoji: '5b4d43fdc60ac8df de866416287663b0 754',
      surrogates: 'b1180ecef4f2e967 7b89317f02bb2a16 754',
      code: 'ecc5002bd5fb76b3 0104760631d25aa0 400',
      spaces: 'b59f112e622bebe0 cc387b65c04e4cdd 681',
      mixed: 'f29506af2e994fc3 27a61a5d04d96691 627',
    }
    for (const script of scripts) {
      const { chunks, exact, bytes } = open().fingerprint('m', said(sampleText(script, 1, 400)))
      const digest = createHash('sha256').update(Buffer.from(chunks, 'base64').filter((_, i) => i % 6 < 5))
      assert.equal(`${digest.digest('hex').slice(0, 16)} ${exact} ${bytes}`, known[script], script)
    }
  })

  it('covers the start and the end of a text of more than 65,536 characters; all of it the exact hash does', () => {
    const words = sampleText('latin', 1, 140_000)
    const changedAt = (at: number) => {
      const own = open().fingerprint('m', said(words))
      const other = open().fingerprint('m', said(`${words.slice(0, at)}東${words.slice(at + 1)}`))
      assert.notEqual(other.exact, own.exact)
      return other.chunks !== own.chunks
    }
    // What is read after the gap begins at 140,000 - 49,152; the two characters before that are its context.
    assert.deepEqual([0, 16_383, 90_848, 139_999].map(changedAt), [true, true, true, true])
    assert.deepEqual([16_384, 50_000, 90_845].map(changedAt), [false, false, false])
    const [start, rest] = [words.slice(0, 16_384), words.slice(90_848)]
    assert.deepEqual(hashesOf(open().fingerprint('m', said(words))), hashesOf(open().fingerprint('m', [...said(start), ...said(rest)])))
  })

  it('keeps most chunks when a character is put in anywhere', () => {
    const own = open().fingerprint('m', said(text))
    for (let at = 0; at < text.length; at += 7) {
      const other = open().fingerprint('m', said(`${text.slice(0, at)}x${text.slice(at)}`))
      assert.notEqual(other.exact, own.exact)
      assert.ok(shared(own, other) > 0.8, `at ${at}: ${shared(own, other)}`)
    }
  })

  it('reads through case, accents, wide letters and joiners, which only the exact hash tells', () => {
    const own = open().fingerprint('m', said(text))
    const wide = [...text].map((c) => (/[a-z]/.test(c) ? String.fromCharCode(c.charCodeAt(0) + 0xfee0) : c)).join('')
    for (const disguised of [text.toUpperCase(), text.replaceAll('e', 'é'), wide, text.replaceAll('r', 'r\u200d')]) {
      const other = open().fingerprint('m', said(disguised))
      assert.deepEqual(hashesOf(other), hashesOf(own))
      assert.notEqual(other.exact, own.exact)
    }
  })

  it('finds gibberish stranger than language, also a language that it was not asked in yet', () => {
    const strangeness = (words: string) => open().fingerprint('m', said(words)).surprise
    const gibberish = strangeness('zqkv Wxj}}rač>;運pTOO **ord _Enti|quid0 xvbn')
    assert.ok(strangeness(text) < 5)
    assert.ok(gibberish > strangeness(text) + 3, `${gibberish}`)
    assert.ok(strangeness('Напишите, пожалуйста, краткое содержание этого текста в трёх предложениях.') < gibberish)
  })

  it('says of each chunk how strange it is, and of the text what that comes to', () => {
    const own = open().fingerprint('m', said(text.slice(0, 150)))
    const total = chunksOf(own).reduce((sum, { length, surprise }) => sum + length * surprise, 0)
    // Each is rounded to an eighth of a bit.
    assert.ok(Math.abs(total / 150 - own.surprise) < 1 / 16 + 0.005, `${total / 150} and ${own.surprise}`)
  })

  it('has at most 80 chunks, keeps the end of a long text fine, and stays nearly the same when one word of it changes', () => {
    const random = seeded(4)
    const long = Array.from({ length: 30_000 }, () => random.pick(text.split(' ')) + random.below(50)).join(' ')
    const own = open().fingerprint('m', said(long))
    const chunks = chunksOf(own)
    assert.ok(chunks.length <= 80)
    assert.ok(chunks.slice(-40).every(({ length }) => length <= 40))
    assert.ok(shared(own, open().fingerprint('m', said(`${long.slice(0, -30)}another${long.slice(-30)}`))) > 0.9)
    assert.ok(own.chunks.length <= 684)
  })

  it('says what the system was told, how long the text is, and how many messages it came in', () => {
    const fingerprinter = open()
    const whole = fingerprinter.fingerprint('m', [
      { role: 'system', text: 'Be brief.' },
      { role: 'user', text: 'Où ?' },
    ])
    assert.equal(whole.system, fingerprinter.hashOf('Be brief.'))
    assert.equal(whole.messages, 2)
    // Nine bytes, and five: ù has two.
    assert.equal(whole.bytes, 14)
    assert.equal(fingerprinter.fingerprint('m', []).chunks, '')
    assert.equal(fingerprinter.fingerprint('m', said('Où ?')).system, null)
  })

  it('learns what is usual from many, little from one, and from nobody the same text twice', () => {
    const many = open()
    const one = open()
    const again = open()
    const prompt = (i: number) =>
      `ticket ${i}: ${text
        .split(' ')
        .slice(i % 20)
        .join(' ')} qzx${i}`
    for (let i = 0; i < 200; i++) {
      many.fingerprint('m', said(prompt(i)), `p${i}`)
      one.fingerprint('m', said(prompt(i)), 'one')
      again.fingerprint('m', said(prompt(0)), `p${i}`)
    }
    assert.equal(many.fingerprint('m', said('x')).learned, 200)
    assert.equal(one.fingerprint('m', said('x')).learned, 48)
    assert.equal(again.fingerprint('m', said('x')).learned, 1)
  })

  it('forgets the model that was asked longest ago', () => {
    const fingerprinter = openPromptFingerprinter({ key: key(1), epoch: 1, models: 2, now: () => 0 })
    for (const model of ['a', 'b', 'a', 'c']) fingerprinter.fingerprint(model, said(`${text} for ${model}`))
    assert.equal(fingerprinter.fingerprint('a', said('x')).learned, 1)
    assert.equal(fingerprinter.fingerprint('b', said('x')).learned, 0)
  })

  it('keeps what it knows of a model apart from that of one that comes where another one went', () => {
    const [few, many] = [2, 9].map((models) => openPromptFingerprinter({ key: key(1), epoch: 1, models, now: () => 0 }))
    for (const [i, model] of ['a', 'b', 'a', 'c', 'a', 'd', 'a'].entries()) {
      const prompt = said(`${text} for the ${i}th time`)
      assert.deepEqual(few?.fingerprint(model, prompt), many?.fingerprint(model, prompt))
    }
  })

  it('refuses a key of another length', () => {
    assert.throws(() => openPromptFingerprinter({ key: new Uint8Array(16), epoch: 1 }), { code: 'KEY_LENGTH' })
  })
})
