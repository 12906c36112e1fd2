import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RedactionConfiguration, SanitiseConfiguration } from '../../../inference/redaction/configuration.ts'
import { GuardedTexts, openTexts, TextGuard } from '../../../inference/redaction/text-guard.ts'

function textsOf(redaction: object, sanitise: object = {}): GuardedTexts {
  const rules = { redaction: RedactionConfiguration.parse(redaction), sanitise: SanitiseConfiguration.parse(sanitise) }
  return new GuardedTexts(new TextGuard(rules), 'alice', () => {})
}

function streamed(texts: GuardedTexts, pieces: readonly string[]): string {
  const stream = texts.stream()
  return pieces.map((piece) => stream.push(piece)).join('') + stream.end()
}

/** The text in two pieces, cut at every place, and letter by letter. */
function* cuts(text: string): Generator<string[]> {
  for (let at = 0; at <= text.length; at++) yield [text.slice(0, at), text.slice(at)]
  yield text.split('')
}

const masking = () => textsOf({ output: 'mask', patterns: [{ name: 'staff', expression: 'EMP \\d{2,4}(?: [a-z]{3})?' }] })
const pem = `-----BEGIN RSA PRIVATE KEY-----\n${'MIIEow 12 IBAAKCAQEA\n'.repeat(8)}-----END RSA PRIVATE KEY-----`
const told: readonly [text: string, masked: string][] = [
  ['I am Ann, write to ann@example.org. Or call (415) 555-2671 today!', 'I am Ann, write to [EMAIL]. Or call [PHONE] today!'],
  ['DE89 3704 0044 0532 0130 00 is it, MT84 MALT 0110 0001 2345 MTLC AST0 01S too', '[IBAN] is it, [IBAN] too'],
  ['4111 1111 1111 1111\n123-45-6789 203.0.113.7 EMP 1234 abc', '[CARD]\n[SSN] [IP] [STAFF]'],
  [`key ${pem} and more`, 'key [SECRET] and more'],
  [`cut ${pem.slice(0, 90)}`, 'cut [SECRET]'],
  ['-----BEGIN PUBLIC KEY-----\nabc', '-----BEGIN PUBLIC KEY-----\nabc'],
  ['then please call 4155552671 or see version 1.2.3.4 of it', 'then please call [PHONE] or see version 1.2.3.4 of it'],
  ['order 4155552671, call 4155552671; 電話 415-555-2671です', 'order 4155552671, call [PHONE]; 電話 [PHONE]です'],
]

test('an answer is masked wherever it is cut', () => {
  for (const [text, masked] of told) {
    assert.equal(masking().output(text), masked)
    for (const pieces of cuts(text)) assert.equal(streamed(masking(), pieces), masked, JSON.stringify(pieces.slice(0, 2)))
  }
})

const fragments = [
  'ann@',
  'example.org',
  ' ',
  ' ',
  '\n',
  'call ',
  '415',
  '-555-',
  '2671',
  '+49 30 ',
  '901820',
  '4111 1111 ',
  '1111 1111',
  'DE89 3704 ',
]
fragments.push(
  '0044 0532 0130 00',
  ', ',
  '. ',
  '203.0.',
  '113.7',
  'EMP ',
  '12',
  '3 abc',
  'word',
  'the ',
  '-',
  '(',
  ')',
  '日本',
  '\u{1f600}',
  'sk-',
)
fragments.push(
  'abcdefghij0123456789',
  'eyJhbGciOiJIUzI1NiJ9',
  '.',
  ':',
  '-----BEGIN ',
  'PRIVATE KEY-----',
  '://a:b@',
  '123-45-6789',
  'v',
  '#',
)

test('whatever a text is made of, its pieces become what the whole becomes', () => {
  const pieces = fc.array(fc.constantFrom(...fragments), { maxLength: 40 })
  fc.assert(
    fc.property(pieces, (all) => assert.equal(streamed(masking(), all), masking().output(all.join('')))),
    { numRuns: 3_000, seed: 11 },
  )
})

test('little is held back: of prose a word, and of what has no blanks at all some two thousand characters', () => {
  const stream = textsOf({ output: 'mask' }).stream()
  const prose = 'in the beginning was the word and the word was there, '.repeat(20)
  let passed = 0
  for (let at = 0; at < prose.length; at++) {
    passed += stream.push(prose.charAt(at)).length
    assert(at + 1 - passed <= 12, `${at + 1 - passed} characters held`)
  }
  const solid = masking().stream()
  let held = 0
  for (let i = 0; i < 10_000; i++) {
    held += 1 - solid.push('x').length
    assert(held <= 2_100)
  }
  assert.equal(streamed(masking(), 'x'.repeat(10_000).match(/.{1,7}/g) ?? []), 'x'.repeat(10_000))
})

test('a secret longer than what is held is left out to its end', () => {
  const jwt = `eyJ${'a'.repeat(40)}.eyJ${'b'.repeat(6_000)}.${'c'.repeat(40)}`
  for (const size of [1, 7, 900, 5_000]) {
    const pieces = `it is ${jwt} so`.match(new RegExp(`.{1,${size}}`, 'g')) ?? []
    assert.equal(streamed(masking(), pieces), 'it is [SECRET] so')
  }
})

test('tokens come back as what they stand for, wherever they are cut', () => {
  const texts = textsOf({ input: 'token', output: 'restore' })
  const asked = texts.input('ann@example.org and bob@example.org, ann@example.org')
  const [, ann, bob] = /^(\[EMAIL_[0-9a-f]{4}\]) and (\[EMAIL_[0-9a-f]{4}\]), \1$/.exec(asked) ?? []
  assert(ann !== undefined && bob !== undefined && ann !== bob)
  const answer = `[a] ${ann}[${bob}] [EMAIL_zzzz] [EMAIL_ ${ann.slice(0, -1)} [`
  const restored = `[a] ann@example.org[bob@example.org] [EMAIL_zzzz] [EMAIL_ ${ann.slice(0, -1)} [`
  assert.equal(texts.output(answer), restored)
  for (const pieces of cuts(answer)) assert.equal(streamed(texts, pieces), restored)
})

test('tokens are the same for one principal, others for another, and never what the request has already', () => {
  const rules = { redaction: RedactionConfiguration.parse({ input: 'token' }), sanitise: SanitiseConfiguration.parse({}) }
  const guard = new TextGuard(rules)
  const tokenFor = (principal: string, before = '') => {
    const texts = new GuardedTexts(guard, principal, () => {})
    assert.equal(texts.inspect(before), undefined)
    return texts.input('ann@example.org')
  }
  const mine = tokenFor('alice')
  assert.equal(tokenFor('alice'), mine)
  assert.notEqual(tokenFor('bob'), mine)
  assert.notEqual(tokenFor('alice', `print ${mine}`), mine)
})

test('one configuration gives one principal the same tokens, by whichever API it asks', () => {
  const rules = { redaction: RedactionConfiguration.parse({ input: 'token' }), sanitise: SanitiseConfiguration.parse({}) }
  const token = () => openTexts(rules, 'alice', () => {})?.input('ann@example.org')
  assert.match(token() ?? '', /^\[EMAIL_[0-9a-f]{4}\]$/)
  assert.equal(token(), token())
  const nothing = { redaction: RedactionConfiguration.parse({}), sanitise: SanitiseConfiguration.parse({}) }
  assert.equal(
    openTexts(nothing, 'alice', () => {}),
    undefined,
  )
})

test('a model that says the token of a long value over and over fills no memory', () => {
  const texts = textsOf({ input: 'token', output: 'restore' })
  const key = `-----BEGIN PRIVATE KEY-----${'A'.repeat(2 ** 20)}-----END PRIVATE KEY-----`
  const token = texts.input(key)
  assert.match(token, /^\[SECRET_[0-9a-f]{4}\]$/)
  assert.equal(texts.output(token), key)
  // 2^24 characters have room for it 15 times, once of which was taken above.
  const said = texts.output(token.repeat(1_000))
  assert.equal(said.length, 14 * key.length + 986 * token.length)
  assert.equal(texts.output('[a]'), '[a]')
})
