import assert from 'node:assert/strict'
import test from 'node:test'
import { failureOfHead, reasonOf, retryAfterOf } from '../../../inference/upstream/failure.ts'

const now = Date.parse('2026-01-01T00:00:00Z')

test('Retry-After: seconds or a date, from 1 to 300 seconds, else nothing', () => {
  for (const [header, seconds] of [
    ['7', 7],
    ['0', 1],
    ['999999999', 300],
    ['Thu, 01 Jan 2026 00:00:10 GMT', 10],
    ['Wed, 31 Dec 2025 00:00:10 GMT', 1],
    ['Thu, 01 Jan 2099 00:00:10 GMT', 300],
    ['-1e400', undefined],
    ['soon', undefined],
    ['1'.repeat(65), undefined],
    [undefined, undefined],
    [['1', '2'], undefined],
  ] as const) {
    assert.equal(retryAfterOf(header as string | string[] | undefined, now), seconds, String(header))
  }
})

test('a reason that a client may be shown is printable and bounded', () => {
  assert.equal(reasonOf('unexpected shape [2]\n\u0000for\u202e input'), 'unexpected shape [2] for input')
  assert.equal(reasonOf('x'.repeat(1_000))?.length, 300)
  assert.equal(reasonOf(`${'x'.repeat(299)}😀`)?.isWellFormed(), true)
  for (const nothing of [undefined, null, 3, {}, '', '\n\t']) assert.equal(reasonOf(nothing), undefined)
})

test('what a status means', () => {
  for (const [status, code, endpoint, retriable] of [
    [200, undefined, undefined, undefined],
    [204, 'UPSTREAM_FAILED', 'failure', false],
    [301, 'UPSTREAM_FAILED', 'neutral', false],
    [400, undefined, undefined, undefined],
    [401, 'UPSTREAM_FAILED', 'neutral', false],
    [403, 'UPSTREAM_FAILED', 'neutral', false],
    [402, 'UPSTREAM_FAILED', 'neutral', false],
    // The model that is asked for is the pool's, and what the upstream calls it is for nobody.
    [404, 'UPSTREAM_FAILED', 'neutral', false],
    [413, undefined, undefined, undefined],
    [421, 'UPSTREAM_FAILED', 'neutral', false],
    [407, 'UPSTREAM_FAILED', 'neutral', false],
    [429, 'UPSTREAM_BUSY', 'neutral', false],
    [500, 'UPSTREAM_FAILED', 'failure', false],
    [502, 'UPSTREAM_FAILED', 'failure', false],
    [503, 'UPSTREAM_BUSY', 'neutral', true],
    [504, 'UPSTREAM_FAILED', 'failure', false],
  ] as const) {
    const failure = failureOfHead(status, {}, 'host:1', now)
    assert.deepEqual([failure?.error.code, failure?.endpoint, failure?.retriable], [code, endpoint, retriable], String(status))
  }
})

test('an answer that is compressed, or of another kind, is none', () => {
  for (const [headers, code] of [
    [{ 'content-type': 'application/json; charset=utf-8' }, undefined],
    [{ 'content-type': 'application/octet-stream' }, undefined],
    [{ 'content-type': 'text/event-stream' }, undefined],
    [{ 'content-type': 'text/html' }, 'UPSTREAM_FAILED'],
    [{ 'content-type': 'application/jsonp' }, 'UPSTREAM_FAILED'],
    [{ 'content-encoding': 'identity' }, undefined],
    [{ 'content-encoding': 'gzip' }, 'UPSTREAM_FAILED'],
    [{ 'content-encoding': ['br', 'gzip'] }, 'UPSTREAM_FAILED'],
  ] as const) {
    assert.equal(failureOfHead(200, headers as Record<string, string | string[]>, 'host:1', now)?.error.code, code, JSON.stringify(headers))
  }
})
