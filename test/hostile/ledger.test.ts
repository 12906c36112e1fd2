import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { answersIn, Ledger } from './ledger.ts'
import { LogScan } from './log-scan.ts'
import { addressKey } from './orders.ts'
import type { Shot } from './shots.ts'

const pseudonym = (agent: string) => createHmac('sha256', addressKey).update(`agent\0${agent}`).digest('hex').slice(0, 32)
const shot = (end: Shot['end'], ...agents: string[]): Shot => ({ pieces: [], end, fired: agents.map((agent) => ({ agent, plain: true })) })
const ok = { status: 200, headers: '' }
const refused = { status: 400, headers: 'connection: close\r\n' }

test('disposed of are answers, what was closed unsaid, and what was written down without an answer; nothing counts twice', () => {
  const ledger = new Ledger()
  ledger.record([[pseudonym('a'), 'served', 200]])
  ledger.close(shot('wait', 'a', 'b'), [ok, ok])
  assert.equal(ledger.disposed, 2)
  ledger.record([[pseudonym('b'), 'served', 200]])
  assert.equal(ledger.disposed, 2)
  // One of three could not be read: the two before it are known by their events alone.
  ledger.close(shot('wait', 'c', 'd', 'e'), [refused])
  assert.equal(ledger.disposed, 3)
  ledger.record([
    [pseudonym('c'), 'aborted', 499],
    [pseudonym('d'), 'aborted', 499],
  ])
  assert.equal(ledger.disposed, 4)
  ledger.close({ ...shot('wait', 'f'), fired: [{ agent: 'f', plain: false }] }, [])
  ledger.close(shot('gone', 'g'), [])
  assert.equal(ledger.disposed, 5)
  assert.deepEqual(ledger.check(), { matched: 2, requests: 7 })
})

test('each way in which answers and events differ is a fault', () => {
  const rows: [string, (ledger: Ledger) => void][] = [
    ['another status', (ledger) => ledger.record([[pseudonym('a'), 'invalid', 422]])],
    ['no event', () => {}],
    ['an outcome of another status', (ledger) => ledger.record([[pseudonym('a'), 'denied', 200]])],
    ['told 200, recorded as left', (ledger) => ledger.record([[pseudonym('a'), 'aborted', 499]])],
    ['two events', (ledger) => [1, 2].forEach(() => ledger.record([[pseudonym('a'), 'served', 200]]))],
  ]
  for (const [name, write] of rows) {
    const ledger = new Ledger()
    ledger.close(shot('wait', 'a'), [ok])
    write(ledger)
    assert.throws(() => ledger.check(), /faults/, name)
  }
  const silent = new Ledger()
  silent.close(shot('wait', 'a', 'b'), [ok])
  silent.record([[pseudonym('a'), 'served', 200]])
  assert.throws(() => silent.check(), /2 good requests, 1 answers/)
})

test('100 Continue is no answer', () => {
  const text = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\na: b\r\n\r\n{}HTTP/1.1 404 Not Found\r\n\r\n'
  assert.deepEqual(
    answersIn(text).map(({ status }) => status),
    [200, 404],
  )
})

test('a secret in a log is found wherever it stands: early, late, across pieces, and far before the end', () => {
  const rows = [
    ['se', 'cret'],
    ['secret', 'x'.repeat(9_000_000)],
    ['x'.repeat(9_000_000), 'secret'],
  ]
  for (const pieces of rows) {
    for (const early of [0, 1, 2]) {
      const part = new LogScan()
      const log = LogScan.of([new LogScan(), part])
      pieces.slice(0, early).forEach((piece) => part.read(piece))
      log.hide(['secret'])
      assert.equal(log.leaked, early === 2 || pieces.slice(0, early).includes('secret'))
      pieces.slice(early).forEach((piece) => part.read(piece))
      assert.equal(log.leaked, true)
    }
  }
  const log = new LogScan()
  log.hide(['secret'])
  log.read('{"level":30,"msg":"secr et"}\n{"level":5')
  assert.deepEqual([log.leaked, log.grave], [false, undefined])
  log.read('0,"msg":"broken"}\n')
  assert.equal(log.grave, '"level":50,"msg":"broken"}')
})
