import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { StoreError } from '../../store/index.ts'
import { bindParameters, listQueries, parseDefinition } from '../../store/library.ts'
import { ReadGate } from '../../store/read-gate.ts'
import { guardSql } from '../../store/sql-guard.ts'
import { readSql } from '../../store/sql-text.ts'

const header = (text: string, sql = 'SELECT 1') => `/*\n${text}\n*/\n${sql}\n`

describe('query definitions', () => {
  it('list every question with what it needs', () => {
    const names = listQueries().map(({ name }) => name)
    const wanted =
      'audit-checkpoint audit-entries audit-keys audit-leaves audit-log audit-logs containments cost coverage egress event-rates exact-once findings generations incident-timeline model-answers model-outcomes orders principal-activity similar-queries unseen'
    assert.deepEqual(names, wanted.split(' '))
    for (const { summary, parameters } of listQueries()) assert.ok(summary !== '' && parameters.every((one) => one.summary !== ''))
  })

  it('are refused where text and description disagree', () => {
    const declared = 'name: x\nsummary: s\nparameters:\n  - { name: a, type: String, summary: s }'
    for (const [file, text] of [
      ['x.sql', 'SELECT 1'],
      ['x.sql', header('name: y\nsummary: s')],
      ['x.sql', header('name: x')],
      ['x.sql', header('name: x\nsummary: s\ncolour: red')],
      ['x.sql', header('name: x\nsummary: s', 'SELECT {a:String}')],
      ['x.sql', header(declared)],
      ['x.sql', header(declared, 'SELECT {a:UInt32}')],
    ] as const) {
      assert.throws(() => parseDefinition(file, text), { code: 'BAD_DEFINITION' }, text)
    }
    assert.equal(parseDefinition('x.sql', header(declared, 'SELECT {a:String}')).sql, 'SELECT {a:String}')
  })

  it('take values as a command line or a URL gives them', () => {
    const types = ['String', 'UInt32', 'Float64', 'Bool', 'UUID', "Nullable(DateTime64(3, 'UTC'))"]
    const parameters = types.map((type, index) => `  - { name: p${index}, type: "${type}", summary: s }`).join('\n')
    const sql = types.map((type, index) => `{p${index}:${type}}`).join(', ')
    const query = parseDefinition('x.sql', header(`name: x\nsummary: s\nparameters:\n${parameters}`, `SELECT ${sql}`))
    const id = '01890a5d-ac96-774b-bcce-b302099a8057'
    assert.deepEqual(bindParameters(query, { p0: 'a', p1: '7', p2: '0.5', p3: 'true', p4: id, p5: '2026-01-01T00:00:00Z' }), {
      p0: 'a',
      p1: 7,
      p2: 0.5,
      p3: true,
      p4: id,
      p5: '2026-01-01 00:00:00.000',
    })
    assert.equal(bindParameters(query, { p0: '', p1: 0, p2: 0, p3: false, p4: id, p5: 1_767_225_600_000 }).p5, '2026-01-01 00:00:00.000')
    const good = { p0: '', p1: 0, p2: 0, p3: false, p4: id, p5: null }
    for (const wrong of [
      { p1: -1 },
      { p1: 1.5 },
      { p1: 'x' },
      { p1: 5e9 },
      { p2: 'x' },
      { p2: Number.POSITIVE_INFINITY },
      { p3: 'perhaps' },
      { p4: 'x' },
      { p5: 'soon' },
      { p5: 1e300 },
      { p0: {} },
    ]) {
      assert.throws(() => bindParameters(query, { ...good, ...wrong }), { code: 'BAD_PARAMETER' }, JSON.stringify(wrong))
    }
  })
})

describe("readers' SQL", () => {
  const forbidden = { functions: new Set(['file']), databases: new Set(['system', 'other']) }

  it('runs what was checked, without comments', () => {
    assert.equal(guardSql(" SELECT 1 -- '\n, /* ; */ 'a;--b' ; ", forbidden), "SELECT 1 , 'a;--b'")
  })

  it('whatever is written, is refused or reads the same a second time', () => {
    const piece = fc.constantFrom(
      'SELECT',
      'file',
      '`file`',
      '"',
      "'",
      '\\',
      '--',
      '/*',
      '*/',
      '\n',
      ';',
      '(',
      ')',
      'other',
      '.',
      't',
      ' ',
      'FROM',
      '1',
      '#',
      '$$',
      '’',
      "''",
    )
    const text = fc.array(piece, { maxLength: 20 }).map((pieces) => `SELECT ${pieces.join('')}`)
    fc.assert(
      fc.property(text, (sql) => {
        let statement: string
        try {
          statement = guardSql(sql, forbidden)
        } catch (error) {
          assert.ok(error instanceof StoreError && error.code === 'REFUSED_SQL', String(error))
          return
        }
        assert.deepEqual(readSql(statement).tokens, readSql(sql).tokens)
        assert.equal(guardSql(statement, forbidden), statement)
        assert.ok(!readSql(statement).tokens.some(({ kind, text }) => kind !== 'string' && (text.toLowerCase() === 'file' || text === ';')))
      }),
      { numRuns: 2_000, seed: 11 },
    )
  })
})

describe('read gate', () => {
  it('lends each thing to one at a time, in order, and turns away whom nobody can wait for', async () => {
    const gate = new ReadGate(['a'], 2)
    const order: string[] = []
    const first = Promise.withResolvers<void>()
    const runs = [
      gate.run(() => first.promise),
      gate.run(async (thing) => void order.push(`2${thing}`)),
      gate.run(async () => {
        order.push('3')
        throw new Error('third')
      }),
    ]
    await assert.rejects(
      gate.run(async () => {}),
      { code: 'STORE_UNAVAILABLE' },
    )
    first.resolve()
    const results = await Promise.allSettled(runs)
    await gate.idle()
    assert.deepEqual(order, ['2a', '3'])
    assert.equal(results[2]?.status, 'rejected')
    assert.equal(await gate.run(async (thing) => thing), 'a')
  })
})
