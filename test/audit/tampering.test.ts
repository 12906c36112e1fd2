import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import fc from 'fast-check'
import type { Verdict } from '../../audit/verdict.ts'
import { entry, exported, openKept, temporaryDir, verifyLines } from './fixture.ts'

const count = 100
const every = 16

/** `opened` is record 0 of the log; entries are 1 to 100; a checkpoint after every 16 records. */
let lines: string[] = []
let keys: string[] = []
/** Line of each record, from 0 on. */
let lineOf: number[] = []

before((t) => {
  const { trail, events } = openKept(temporaryDir(t as never), { checkpointRecords: 1_000_000 })
  for (let number = 1; number <= count; number++) {
    trail.append(entry(number))
    if (number % every === 0) trail.checkpoint()
  }
  keys = [trail.state().publicKey]
  trail.close()
  lines = exported(events)
  lineOf = [...lines.entries()].filter(([, line]) => line.startsWith('{"log"')).map(([at]) => at)
})

const seq = fc.integer({ min: 0, max: count })
const at = (number: number) => lineOf[number] ?? -1

const verify = (export_: readonly string[]) => verifyLines(export_, { keys })

/** Kind and number of each problem, and the lines. */
function told({ problems }: Verdict): string[] {
  return problems.map(({ kind, seq, until }) => `${kind} ${seq}${until === null || until === seq ? '' : `-${until}`}`)
}

async function holds(property: fc.IAsyncPropertyWithHooks<never> | ReturnType<typeof fc.asyncProperty>): Promise<void> {
  await fc.assert(property as never, { seed: 7, numRuns: 60 })
}

describe('a single change to an export', () => {
  test('is none where nothing was changed', async () => {
    const verdict = await verify(lines)
    assert.deepEqual(told(verdict), [])
    assert.ok(verdict.ok)
    assert.deepEqual([verdict.records, verdict.unsigned, verdict.logs.length], [count + 1, 0, 1])
  })

  test('of a byte of a record is found, and the record named', () =>
    holds(
      fc.asyncProperty(seq, fc.nat(), fc.integer({ min: 1, max: 127 }), async (number, where, bits) => {
        const line = Buffer.from(lines[at(number)] ?? '')
        const offset = where % line.length
        const byte = (line[offset] ?? 0) ^ bits
        fc.pre(byte !== 0x0a && byte < 0x80)
        line[offset] = byte
        const verdict = await verify(lines.with(at(number), line.toString('latin1')))
        assert.equal(verdict.ok, false)
        // Where it says that it is of another place, that place is empty, and the line does not belong.
        const foreign = (problem: Verdict['problems'][number]) => problem.line === at(number) + 1
        for (const problem of verdict.problems) assert.ok(problem.seq === number || foreign(problem), JSON.stringify(problem))
        assert.ok(
          verdict.problems.some((one) => one.seq === number && (one.kind === 'changed' || one.kind === 'dropped')),
          JSON.stringify(told(verdict)),
        )
      }),
    ))

  test('of a value of a record is called a change', () =>
    holds(
      fc.asyncProperty(fc.integer({ min: 1, max: count }), async (number) => {
        const line = (lines[at(number)] ?? '').replace('"cost":0.25', '"cost":0.26')
        assert.deepEqual(told(await verify(lines.with(at(number), line))), [`changed ${number}`])
      }),
    ))

  test('that drops a record is found, and the record named', () =>
    holds(
      fc.asyncProperty(seq, async (number) => {
        assert.deepEqual(told(await verify(lines.toSpliced(at(number), 1))), [`dropped ${number}`])
      }),
    ))

  test('that drops several is found, with the first and the last of them', () =>
    holds(
      fc.asyncProperty(fc.integer({ min: 0, max: count - 20 }), fc.integer({ min: 2, max: 19 }), async (first, length) => {
        const gone = new Set(Array.from({ length }, (_, i) => at(first + i)))
        const verdict = await verify(lines.filter((_, i) => !gone.has(i)))
        assert.deepEqual(told(verdict), [`dropped ${first}-${first + length - 1}`])
      }),
    ))

  test('that swaps two records names both, or one where the other is in order without it', () =>
    holds(
      fc.asyncProperty(seq, seq, async (one, other) => {
        fc.pre(one !== other)
        const [a, b] = [lines[at(one)] ?? '', lines[at(other)] ?? '']
        const verdict = await verify(lines.with(at(one), b).with(at(other), a))
        const named = told(verdict)
        assert.ok(named.length > 0)
        for (const name of named) assert.ok([`moved ${one}`, `moved ${other}`].includes(name), JSON.stringify(named))
      }),
    ))

  test('that moves a record names it', () =>
    holds(
      fc.asyncProperty(seq, fc.nat(), async (number, to) => {
        const line = lines[at(number)] ?? ''
        const rest = lines.toSpliced(at(number), 1)
        const place = to % (rest.length + 1)
        const moved = rest.toSpliced(place, 0, line)
        // Beside a checkpoint it may stand where it did among the records.
        fc.pre(moved.filter((one) => one.startsWith('{"log"')).some((one, i) => one !== lines[at(i)]))
        const named = told(await verify(moved))
        assert.ok(named.length === 1 && named[0]?.startsWith('moved '), JSON.stringify(named))
        const neighbours = [number - 1, number, number + 1].map((one) => `moved ${one}`)
        assert.ok(neighbours.includes(named[0] ?? ''), JSON.stringify(named))
      }),
    ))

  test('that repeats a record names it', () =>
    holds(
      fc.asyncProperty(seq, fc.nat(), async (number, to) => {
        const place = to % (lines.length + 1)
        const verdict = await verify(lines.toSpliced(place, 0, lines[at(number)] ?? ''))
        assert.deepEqual(
          verdict.problems.map((one) => [['repeated', 'inserted'].includes(one.kind), one.seq]),
          [[true, number]],
          JSON.stringify(verdict.problems),
        )
      }),
    ))

  test('that inserts a forged record, beside the one whose number it takes, names the line', () =>
    holds(
      fc.asyncProperty(fc.integer({ min: 1, max: count }), fc.boolean(), async (number, isFirst) => {
        const forged = (lines[at(number)] ?? '').replace('"cost":0.25', '"cost":9')
        const place = at(number) + (isFirst ? 0 : 1)
        const verdict = await verify(lines.toSpliced(place, 0, forged))
        assert.deepEqual(
          verdict.problems.map(({ kind, seq, line }) => ({ kind, seq, line })),
          [{ kind: 'inserted', seq: number, line: place + 1 }],
        )
      }),
    ))

  test('that cuts off the end is found by the last checkpoint, wherever it is kept', () =>
    holds(
      fc.asyncProperty(fc.integer({ min: 0, max: count }), async (number) => {
        const last = lines.at(-1) ?? ''
        const verdict = await verify([...lines.slice(0, at(number)), last])
        assert.deepEqual(told(verdict), [`dropped ${number}${number === count ? '' : `-${count}`}`])
      }),
    ))
})
