import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { clientCommand } from '../../cli/commands/client-command.ts'
import { parseDuration, parseInstant } from '../../cli/duration.ts'
import { cell, openOutput, span, table } from '../../cli/output.ts'
import { parseParams } from '../../cli/params.ts'

const cordon = fileURLToPath(new URL('../../bin/cordon.js', import.meta.url))

describe('output', () => {
  it('prints one JSON object a line for machines', () => {
    const lines: string[] = []
    openOutput(true, (line) => lines.push(line)).list([{ a: 1 }, { a: 'x\ny' }], [], 'none')
    assert.deepEqual(lines, ['{"a":1}', '{"a":"x\\ny"}'])
  })

  it('prints a table for people, or says that there is nothing', () => {
    const columns = [{ title: 'NAME', of: (row: { name: string }) => row.name }]
    assert.equal(table([{ name: 'alice' }], columns), 'NAME\nalice')
    const lines: string[] = []
    openOutput(false, (line) => lines.push(line)).list([], columns, 'none')
    assert.deepEqual(lines, ['none'])
  })

  it('shows control characters instead of obeying them', () => {
    assert.equal(cell('a\u001b[31mred\r\n\u202e'), 'a\\u{1b}[31mred\\u{d}\\u{a}\\u{202e}')
    assert.equal(cell('\u2067a\u2069\u200f\u061c'), '\\u{2067}a\\u{2069}\\u{200f}\\u{61c}')
  })

  it('says spans as people do', () => {
    assert.deepEqual([0.5, 23.4, 1_500, 600_000, 9_000_000].map(span), ['0.5 ms', '23 ms', '1.5 s', '10 min', '2.5 h'])
  })
})

it('keeps the token of the environment out of the help', () => {
  const token = 'a-secret-of-the-environment'
  const before = process.env.CORDON_TOKEN
  process.env.CORDON_TOKEN = token
  try {
    assert.ok(!clientCommand(new Command('status')).helpInformation().includes(token))
  } finally {
    if (before === undefined) delete process.env.CORDON_TOKEN
    else process.env.CORDON_TOKEN = before
  }
})

it('obeys no control characters in what an instance says went wrong', async (t) => {
  const detail = "Cannot parse '\u001b]0;title\u0007'\nsecond line"
  const server = createServer((_request, response) => response.writeHead(422).end(JSON.stringify({ detail })))
  t.after(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const args = [cordon, 'status', '--url', `http://127.0.0.1:${port}`, '--token', 'x']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  assert.equal(await text(child.stderr), "cordon: Cannot parse '\\u{1b}]0;title\\u{7}'\nsecond line\n")
})

describe('durations and instants', () => {
  it('reads them', () => {
    assert.deepEqual(
      ['250ms', '30s', '10m', '2h', '1.5h', '7d'].map(parseDuration),
      [250, 30_000, 600_000, 7_200_000, 5_400_000, 604_800_000],
    )
    assert.equal(parseInstant('2026-11-21T09:00:00Z', 0), Date.UTC(2026, 10, 21, 9))
    assert.equal(parseInstant('1763700000000', 0), 1_763_700_000_000)
    assert.equal(parseInstant('1h', 10_000_000), 6_400_000)
  })

  for (const text of ['', '10', '10 m', '-1s', 'soon', '1y']) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.throws(() => parseDuration(text), { code: 'USAGE' }))
  }

  it('refuses an instant that is none', () => assert.throws(() => parseInstant('yesterday-ish', 0), { code: 'USAGE' }))

  it('reads parameters, JSON where they are', () => {
    assert.deepEqual(parseParams(['requests=1', 'level=label-only', 'x=a=b', 'on=true']), {
      requests: 1,
      level: 'label-only',
      x: 'a=b',
      on: true,
    })
    assert.deepEqual(parseParams(['version=1.10', 'principal=1e5', 'key=123456789012345678']), {
      version: '1.10',
      principal: '1e5',
      key: '123456789012345678',
    })
    assert.throws(() => parseParams(['novalue']), { code: 'USAGE' })
  })
})
