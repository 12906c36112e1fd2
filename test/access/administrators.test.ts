import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { TOTP } from 'otpauth'
import { Administrators } from '../../access/administrators.ts'
import { SecondFactors } from '../../access/second-factor.ts'
import { stepOfCode } from '../../access/totp.ts'
import { writeAtomically } from '../../cli/instance/atomic-file.ts'

/** The beginning of a step. */
const start = 1_800_000_000_000
const minute = 60_000
const step = 30_000

let dir: string
let file: string
let administrators: Administrators
const errors: unknown[] = []
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'cordon-accounts-'))
  file = join(dir, 'accounts.json')
  errors.length = 0
  administrators = open()
})
afterEach(() => rmSync(dir, { recursive: true }))

function open(): Administrators {
  return new Administrators({ file, write: writeAtomically, onError: (error) => errors.push(error) })
}

function secondFactors(): SecondFactors {
  return new SecondFactors({ file: `${file}.used`, write: writeAtomically, windowMs: 5 * minute })
}

const asked = { name: 'olga', capabilities: ['administration'], roles: ['security'], expiresAt: null } satisfies Parameters<
  Administrators['create']
>[0]

/** What an authenticator shows. */
function shown(secret: string, at: number): string {
  return new TOTP({ secret, algorithm: 'SHA1', digits: 6, period: 30 }).generate({ timestamp: at })
}

/** An account with a second factor, set up long before `start`. */
function enrolled(name = 'olga') {
  const { token } = administrators.create({ ...asked, name }, start - 10 * minute)
  const { secret } = administrators.enrol(name)
  administrators.confirm(name, shown(secret, start - 10 * minute), start - 10 * minute)
  const account = administrators.get(name)
  assert.ok(account !== undefined)
  return { token, secret, account }
}

describe('accounts', () => {
  it('are known by a token that is shown once, and of which the file has the hash alone', () => {
    const { token } = administrators.create(asked, start)
    assert.match(token, /^cordon_acct_[0-9A-Za-z]{43}$/)
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert.ok(!readFileSync(file, 'utf8').includes(token.slice(12)))
    assert.equal(administrators.authenticate(token, start)?.name, 'olga')
    for (const wrong of ['', 'cordon_acct_', token.slice(1), `${token}x`, token.toLowerCase(), `cordon_acct_${'0'.repeat(43)}`])
      assert.equal(administrators.authenticate(wrong, start), null, wrong)
  })

  it('that another process makes and revokes count at once', () => {
    const running = open()
    const { token } = administrators.create(asked, start)
    assert.equal(running.authenticate(token, start)?.name, 'olga')
    administrators.revoke('olga', start + 1)
    assert.equal(running.authenticate(token, start + 1), null)
    // Its name is on record under what it did.
    assert.throws(() => administrators.create(asked, start), { code: 'ACCOUNT_EXISTS' })
  })

  it('expire by the clock', () => {
    const { token } = administrators.create({ ...asked, expiresAt: start + minute }, start)
    assert.equal(administrators.authenticate(token, start + minute - 1)?.name, 'olga')
    assert.equal(administrators.authenticate(token, start + minute), null)
    assert.throws(() => administrators.create({ ...asked, name: 'bob', expiresAt: start }, start), { code: 'ACCOUNT_INVALID' })
  })

  const damage: readonly [what: string, harm: () => void, told: RegExp][] = [
    ['torn', () => writeFileSync(file, readFileSync(file).subarray(0, 90)), /not as `cordon accounts` writes it/],
    ['another program’s', () => writeFileSync(file, '{"accounts":[{}]}'), /name/],
    ['open to others', () => chmodSync(file, 0o640), /chmod 600/],
  ]
  for (const [what, harm, told] of damage) {
    it(`let nobody in where the file is ${what}, and are not written over`, () => {
      const { token } = administrators.create(asked, start)
      harm()
      const before = readFileSync(file, 'utf8')
      assert.equal(open().authenticate(token, start), null)
      assert.match(String(errors[0]), told)
      assert.ok(!String(errors[0]).includes('tokenHash":"'))
      assert.throws(() => administrators.create({ ...asked, name: 'eve' }, start), { code: 'ACCOUNTS_UNREADABLE' })
      assert.equal(readFileSync(file, 'utf8'), before)
    })
  }

  it('are bounded', () => {
    const before = {
      name: 'x',
      tokenHash: '0'.repeat(64),
      capabilities: [],
      roles: [],
      createdAt: 0,
      expiresAt: null,
      revokedAt: 1,
      totp: null,
    }
    writeAtomically(file, JSON.stringify({ accounts: Array.from({ length: 256 }, (_, i) => ({ ...before, name: `n${i}` })) }))
    assert.throws(() => administrators.create(asked, start), { code: 'ACCOUNT_LIMIT' })
  })

  it('show neither hash nor secret', () => {
    const { secret, account } = enrolled()
    const [view] = administrators.list()
    assert.equal(view?.secondFactor, 'enrolled')
    const text = JSON.stringify(view)
    for (const kept of [secret, account.tokenHash]) assert.ok(!text.includes(kept))
  })
})

describe('setting up a second factor', () => {
  it('ends with a code, so that nobody is locked out by an authenticator that was never there', () => {
    const { token } = administrators.create(asked, start)
    const { secret, uri } = administrators.enrol('olga')
    assert.equal(uri, `otpauth://totp/Cordon:olga?issuer=Cordon&secret=${secret}&algorithm=SHA1&digits=6&period=30`)
    assert.throws(() => administrators.confirm('olga', '000000', start), { code: 'CODE_REFUSED' })
    assert.equal(administrators.list()[0]?.secondFactor, 'begun')
    administrators.confirm('olga', shown(secret, start), start)
    assert.equal(administrators.list()[0]?.secondFactor, 'enrolled')
    assert.throws(() => administrators.enrol('olga'), { code: 'ENROLMENT' })
    administrators.resetTotp('olga')
    assert.equal(administrators.authenticate(token, start)?.totp, null)
    assert.throws(() => administrators.confirm('olga', shown(secret, start), start), { code: 'ENROLMENT' })
    assert.throws(() => administrators.enrol('bob'), { code: 'ACCOUNT_NOT_FOUND' })
  })

  it('uses up the code that proved it', () => {
    administrators.create(asked, start)
    const { secret } = administrators.enrol('olga')
    const code = shown(secret, start)
    administrators.confirm('olga', code, start)
    const account = administrators.get('olga')
    assert.ok(account !== undefined)
    assert.deepEqual(secondFactors().prove(account, code, start + 1), { ok: false, reason: 'wrong' })
  })
})

describe('a code', () => {
  // RFC 6238, appendix B, SHA-1: the last six digits of its eight.
  const vectors: readonly [seconds: number, code: string][] = [
    [59, '287082'],
    [1_111_111_109, '081804'],
    [1_234_567_890, '005924'],
    [20_000_000_000, '353130'],
  ]
  for (const [seconds, code] of vectors) {
    it(`at ${seconds} s is ${code}, of its own step`, () => {
      // The ASCII of 12345678901234567890.
      assert.equal(stepOfCode('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ', code, seconds * 1_000), Math.floor(seconds / 30))
    })
  }

  const times: readonly [when: string, shownAt: number, counts: boolean][] = [
    ['two steps ago', start - 2 * step, false],
    ['one step ago', start - step, true],
    ['now', start, true],
    ['one step ahead', start + step, true],
    ['two steps ahead', start + 2 * step, false],
  ]
  for (const [when, shownAt, counts] of times) {
    it(`of ${when} ${counts ? 'counts' : 'does not count'}`, () => {
      const { account, secret } = enrolled()
      assert.equal(secondFactors().prove(account, shown(secret, shownAt), start).ok, counts)
    })
  }

  it('counts once: not again, not an older one, not in a process that was started since', () => {
    const { account, secret } = enrolled()
    const factors = secondFactors()
    assert.equal(factors.prove(account, shown(secret, start), start).ok, true)
    for (const again of [factors, secondFactors()]) {
      assert.equal(again.prove(account, shown(secret, start), start + 1).ok, false)
      assert.equal(again.prove(account, shown(secret, start - step), start + 1).ok, false)
    }
    assert.equal(statSync(`${file}.used`).mode & 0o777, 0o600)
    assert.equal(factors.prove(account, shown(secret, start + step), start + step).ok, true)
  })

  it('that cannot be marked as used is not taken', () => {
    const { account, secret } = enrolled()
    const full = () => {
      throw new Error('ENOSPC')
    }
    const factors = new SecondFactors({ file: `${file}.used`, write: full, windowMs: 5 * minute })
    assert.throws(() => factors.prove(account, shown(secret, start), start), /ENOSPC/)
    assert.equal(factors.provenAt(account, start), null)
    writeFileSync(`${file}.used`, '[[')
    assert.throws(() => secondFactors().prove(account, shown(secret, start), start), { code: 'ACCOUNTS_UNREADABLE' })
  })

  it('opens the door for five minutes, for this account with this token and this secret', () => {
    const { account, secret } = enrolled()
    const { account: other } = enrolled('bob')
    const factors = secondFactors()
    assert.equal(factors.provenAt(account, start), null)
    factors.prove(account, shown(secret, start), start)
    assert.equal(factors.provenAt(account, start + 5 * minute - 1), start)
    assert.equal(factors.provenAt(account, start + 5 * minute), null)
    assert.equal(factors.provenAt(other, start), null)
    assert.equal(factors.provenAt({ ...account, tokenHash: 'f'.repeat(64) }, start), null)
    administrators.resetTotp('olga')
    administrators.enrol('olga')
    const renewed = administrators.get('olga')
    assert.ok(renewed !== undefined)
    assert.equal(factors.provenAt(renewed, start), null)
    assert.equal(factors.provenAt({ ...account, revokedAt: start }, start), null)
  })

  it('is not asked for before an authenticator was set up', () => {
    administrators.create(asked, start)
    const { secret } = administrators.enrol('olga')
    const account = administrators.get('olga')
    assert.ok(account !== undefined)
    assert.deepEqual(secondFactors().prove(account, shown(secret, start), start), { ok: false, reason: 'not-enrolled' })
  })

  it('is not even looked at after five wrong ones, for five minutes and then twice as long', () => {
    const { account, secret } = enrolled()
    const { account: other, secret: theirs } = enrolled('bob')
    const factors = secondFactors()
    const wrong = (at: number) => factors.prove(account, 'abcdef', at)
    for (let i = 0; i < 5; i++) assert.deepEqual(wrong(start + i), { ok: false, reason: 'wrong' })
    const right = (at: number) => factors.prove(account, shown(secret, at), at)
    // Paused from the fifth on, whose time is start + 4.
    assert.deepEqual(right(start + 5), { ok: false, reason: 'paused', retryMs: 5 * minute - 1 })
    assert.equal(factors.prove(other, shown(theirs, start), start).ok, true, 'others are let in')
    let at = start + 4 + 5 * minute
    for (let i = 0; i < 5; i++) assert.deepEqual(wrong(at), { ok: false, reason: 'wrong' })
    assert.deepEqual(right(at), { ok: false, reason: 'paused', retryMs: 10 * minute })
    at += 10 * minute
    assert.deepEqual(right(at), { ok: true })
    // A right one forgives: four wrong ones, and the pauses before.
    for (let i = 0; i < 4; i++) wrong(at)
    assert.deepEqual(right(at + step), { ok: true })
  })

  it('that is wrong now and then pauses nobody', () => {
    const { account } = enrolled()
    const factors = secondFactors()
    // Four within five minutes, for an hour.
    for (let i = 0; i < 48; i++) assert.equal(factors.prove(account, '', start + i * 76_000).ok, false)
    assert.deepEqual(factors.prove(account, '', start + 48 * 76_000), { ok: false, reason: 'wrong' })
  })
})
