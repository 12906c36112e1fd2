import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RedactionConfiguration } from '../../../inference/redaction/configuration.ts'
import { Finder } from '../../../inference/redaction/finder.ts'

const finderOf = (change: object = {}) => new Finder(RedactionConfiguration.parse(change))
const us = finderOf()

/** What is found, as `kind:text`. */
function found(text: string, finder = us): string[] {
  return finder.find(text, finder.phones()).map(({ start, end, kind }) => `${kind}:${text.slice(start, end)}`)
}

const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U'
const pem = '-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIGl\nAwEHoUQDQgAE\n-----END EC PRIVATE KEY-----'

const personal: readonly [text: string, ...found: string[]][] = [
  ['Write to Ann.Lee+spam@mail.example.co.uk.', 'email:Ann.Lee+spam@mail.example.co.uk'],
  [
    '<mailto:ann@example.org>, "bob@example.org"; c=carl@example.org',
    'email:ann@example.org',
    'email:bob@example.org',
    'email:carl@example.org',
  ],
  ['Grüße an jürgen@müller.de!', 'email:jürgen@müller.de'],
  ['Call (415) 555-2671 or 415.555.2672', 'phone:(415) 555-2671', 'phone:415.555.2672'],
  ['my cell: 4155552671', 'phone:4155552671'],
  ['+49 30 901820, +44 (0)20 7946 0958', 'phone:+49 30 901820', 'phone:+44 (0)20 7946 0958'],
  ['+1 415-555-2671 +1 415-555-2672', 'phone:+1 415-555-2671', 'phone:+1 415-555-2672'],
  ['pay DE89 3704 0044 0532 0130 00 and GB82WEST12345698765432.', 'iban:DE89 3704 0044 0532 0130 00', 'iban:GB82WEST12345698765432'],
  ['MT84 MALT 0110 0001 2345 MTLC AST0 01S is hers', 'iban:MT84 MALT 0110 0001 2345 MTLC AST0 01S'],
  ['4111 1111 1111 1111 12/27 123, 378282246310005', 'card:4111 1111 1111 1111', 'card:378282246310005'],
  ['3782-822463-10005', 'card:3782-822463-10005'],
  ['SSN 123-45-6789; ssn: 123456789, social security number 123 45 6789', 'ssn:123-45-6789', 'ssn:123456789', 'ssn:123 45 6789'],
  ['from 203.0.113.7, [2001:db8::1] and fe80::1', 'ip:203.0.113.7', 'ip:2001:db8::1', 'ip:fe80::1'],
  [`a key cordon_0123456789ab_${'x'.repeat(43)}.`, `secret:cordon_0123456789ab_${'x'.repeat(43)}`],
  ['AKIAIOSFODNN7EXAMPLE', 'secret:AKIAIOSFODNN7EXAMPLE'],
  [`ghp_${'a1'.repeat(18)} and xoxb-123456789012-abcDEF`, `secret:ghp_${'a1'.repeat(18)}`, 'secret:xoxb-123456789012-abcDEF'],
  [`sk-proj-${'Ab1_'.repeat(8)}`, `secret:sk-proj-${'Ab1_'.repeat(8)}`],
  [`bearer ${jwt}!`, `secret:${jwt}`],
  [`key:\n${pem}\nend`, `secret:${pem}`],
  ['postgres://admin:hunter2@db.example.org/x', 'secret:admin:hunter2@db.example.org'],
]

test('personal data and secrets are found as people write them', () => {
  for (const [text, ...expected] of personal) assert.deepEqual(found(text), expected, text)
})

/** What looks alike and is nobody's. */
const ordinary = [
  'Order 4155552671 of 2024-01-15 10:30:45, invoice no. 415-555-2671',
  'id 123e4567-e89b-12d3-a456-426614174000, 00000000-4266-1417-8000-426614174000',
  'version 1.2.3.4, Chrome/120.0.0.0, v10.15.7.1, release 4.18.0.305',
  'ISBN 978-3-16-148410-0, ISBN-10 0-306-40615-2, 0-306-40615-2',
  'at 1700000000, 1700000000123, 20240115103045; 12:34:56',
  '3.14159265358979, 1,234,567.89, $4155552671, 415 555 267 €',
  'commit 4155552671abcdef, 0x4155552671, #4155552671',
  'Face::add(f64::e2), std::vec, 00:1A:2B:3C:4D:5E',
  'git clone git@github.com:org/repo; logo@2x.png; @types/node@22.0.1; getty@tty1.service',
  '4111 1111 1111 1112, 1234 5678 9012 3456',
  '000-12-3456, 666-12-3456, 900-12-3456, 123-45-67890, 77-123-45-6789',
  'DE89 3704 0044 0532 0130 01, XX00ABCDEFGHIJKLMNOP',
  '127.0.0.1, 0.0.0.0, ::1, 256.1.1.1, 1.2.3.4.5',
  'from 1990-1999 to 2019 - 2020; pages 100-200; 12/31/1999',
  'sk-learn, ghp_short, eyJ is how JSON begins, -----BEGIN PUBLIC KEY-----',
]

test('what only looks like it is left alone', () => {
  for (const text of ordinary) assert.deepEqual(found(text), [], text)
})

test('a country decides on numbers that name none, kinds and patterns on what is looked for', () => {
  const text = 'ruf 030 901820 an, EMP-123456, a@example.org'
  const german = finderOf({ country: 'DE', kinds: ['phone'], patterns: [{ name: 'staff', expression: 'EMP-\\d{6}' }] })
  assert.deepEqual(found(text, german), ['phone:030 901820', 'staff:EMP-123456'])
  assert.deepEqual(found('030 901820 or +49 30 901820', finderOf({ country: null })), ['phone:+49 30 901820'])
})

test('what overlaps is one finding, so that no end of it is left', () => {
  const finder = finderOf({ patterns: [{ name: 'list', expression: 'org-\\d{3}' }] })
  assert.deepEqual(found('a@example.org-123 x', finder), ['email:a@example.org-123'])
  assert.deepEqual(found('a@example.org-see', finder), ['email:a@example.org'])
})

const patterns: readonly [source: string, flaw: RegExp | null][] = [
  ['EMP-\\d{6}', null],
  ['(?:AB|CD)\\d{2,8}', null],
  ['\\bPRJ_[A-Z]{3}\\b', null],
  ['(a+)+', /\* or \+/],
  ['(?:a{1,4}){1,4}', /counts what has counts/],
  ['a{1,64}a{1,64}a{1,64}b', /ways/],
  ['(a)\\1', /escape/],
  ['(?=a)', /looks around/],
  ['a{0,5}', /nothing at all/],
  ['a{3,}', /upper bound/],
  ['[^', /class/],
  ['a)', /parenthesis/],
  ['^a', /\^/],
  ['(?:[a-z]{64}){5}', /more than 256/],
]

test('configured patterns are those alone whose time is bounded', () => {
  for (const [expression, flaw] of patterns) {
    const parsed = RedactionConfiguration.safeParse({ patterns: [{ name: 'own', expression }] })
    assert.equal(parsed.success, flaw === null, expression)
    if (flaw !== null) assert.match(parsed.error?.issues[0]?.message ?? '', flaw)
  }
  assert(!RedactionConfiguration.safeParse({ patterns: [{ name: 'email', expression: 'a' }] }).success)
  assert(!RedactionConfiguration.safeParse({ output: 'restore' }).success)
  assert(!RedactionConfiguration.safeParse({ country: 'XX' }).success)
})

/** Pieces of which hostile texts are made. */
const pieces = [
  'a@',
  '@',
  'a.',
  '-',
  '+',
  '(',
  ')',
  '1',
  '12 ',
  '4111 ',
  ' ',
  '.',
  ':',
  '::',
  '://a:',
  'eyJaaaaaaaa',
  'eyJ-',
  '.eyJaaaaaaaa',
]
pieces.push(
  '-----BEGIN ',
  'PRIVATE KEY-----',
  'DE89',
  'DE89 ',
  'sk-',
  '1.1.1.',
  'f:',
  '+1 415 ',
  '415-555-2671 ',
  'x',
  'é',
  '\u{1f600}',
  '[',
  '\n',
)

test('time grows with the text alone, however hostile it is', () => {
  const texts = [...pieces, ...pieces.flatMap((a) => [`${a}1`, `${a}a@b.`, `${a}-`])]
  const finder = finderOf({ patterns: [{ name: 'own', expression: '[a-z]{1,16}-\\d{1,8}' }] })
  const timeOf = (piece: string, length: number) => {
    const text = piece.repeat(Math.ceil(length / piece.length)).slice(0, length)
    const began = process.cpuUsage().user
    finder.find(text, finder.phones())
    return (process.cpuUsage().user - began) / 1_000
  }
  for (const piece of texts) {
    // Ten times the text; what is quadratic takes a hundred times as long.
    const [short, long] = [Math.max(timeOf(piece, 5_000), timeOf(piece, 5_000)), timeOf(piece, 50_000)]
    assert(long < 150 + 30 * short, `${JSON.stringify(piece)}: ${short} ms for 5 kB, ${long} ms for 50 kB`)
  }
})

test('findings are in order and within the text, whatever the text is', () => {
  const hostile = fc.array(fc.oneof(fc.constantFrom(...pieces), fc.string({ maxLength: 4 })), { maxLength: 60 }).map((all) => all.join(''))
  fc.assert(
    fc.property(hostile, (text) => {
      let last = 0
      for (const { start, end } of us.find(text, us.phones())) {
        assert(start >= last && end > start && end <= text.length)
        last = end
      }
    }),
    { numRuns: 500, seed: 7 },
  )
})
