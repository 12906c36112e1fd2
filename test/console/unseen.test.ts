import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ConsolePorts, InstanceStatus, QueryResult, RoleStatus } from '../../console/port.ts'
import { unseenOf } from '../../console/unseen.ts'
import { CordonError, type Incident } from '../../schemas/index.ts'
import { at, fakePorts, finding, incident } from './ports.ts'

const row = (fromMs: number, untilMs: number | null, changes: object = {}) => ({
  kind: 'dropped',
  blind: true,
  from: new Date(at + fromMs).toISOString(),
  until: untilMs === null ? null : new Date(at + untilMs).toISOString(),
  affected: 'possibly',
  sentence: 'node node-1 lost 12 events',
  ...changes,
})
const rows = (...found: readonly object[]): QueryResult => ({ columns: [], rows: found as Record<string, unknown>[], elapsedMs: 1 })

function ask(about: Partial<Incident>, answer: (name: string) => Promise<QueryResult>, status: Partial<InstanceStatus> = {}) {
  const fake = fakePorts()
  fake.answer = answer
  const ports: ConsolePorts = { ...fake, status: async () => ({ ...(await fake.status()), ...status }) }
  const asked = () => fake.calls.map(([, , params]) => params)
  return { answer: unseenOf({ ...incident, ...about }, [finding], ports), asked }
}

describe('whether anything was unseen', () => {
  it('is asked of who and what the incident is about, from its first sign on', async () => {
    const { answer, asked } = ask({}, async () => rows())
    assert.deepEqual(await answer, {
      state: 'watched',
      answer: 'Watched throughout',
      from: at - 900,
      until: null,
      gaps: [],
      more: 0,
      caveats: [],
    })
    assert.deepEqual(asked(), [{ principal: 'mallory', model: 'digits', from: at - 900 }])
  })

  const subjects: readonly [what: string, about: Partial<Incident>, asked: readonly object[]][] = [
    ['its end', { closedAt: at + 5_000 }, [{ principal: 'mallory', model: 'digits', until: at + 5_000 }]],
    [
      'several principals',
      { principals: ['a', 'b'] },
      [
        { principal: 'a', model: 'digits' },
        { principal: 'b', model: 'digits' },
      ],
    ],
    ['several models', { models: ['x', 'y'] }, [{ principal: 'mallory' }]],
    ['models alone', { principals: [], models: ['x', 'y'] }, [{ model: 'x' }, { model: 'y' }]],
    ['a workload', { principals: [], models: [], workloads: ['w'] }, [{ workload: 'w' }]],
    ['nobody', { principals: [], models: [] }, [{}]],
    ['a crowd', { principals: Array.from({ length: 17 }, (_, i) => `p${i}`) }, [{}]],
  ]
  for (const [what, about, expected] of subjects) {
    it(`is asked with ${what}`, async () => {
      const { answer, asked } = ask(about, async () => rows())
      await answer
      assert.deepEqual(
        asked(),
        expected.map((subject) => ({ ...subject, from: at - 900 })),
      )
    })
  }

  it('names each gap once, earliest first, however many it concerns', async () => {
    const of: Record<string, QueryResult> = {
      a: rows(row(2_000, null), row(1_000, 1_000)),
      b: rows(row(2_000, 3_000), row(2_000, null, { affected: 'certainly' }), row(1_000, 1_000)),
    }
    const asked: string[] = []
    const { answer } = ask({ principals: ['a', 'b'] }, async () => of[asked.push('') === 1 ? 'a' : 'b'] ?? rows())
    const { state, gaps } = await answer
    assert.equal(state, 'gaps')
    assert.deepEqual(
      gaps.map((gap) => [gap.from - at, gap.until === null ? null : gap.until - at, gap.certain]),
      [
        [1_000, 1_000, false],
        [2_000, 3_000, false],
        [2_000, null, true],
      ],
    )
  })

  it('tells what was never judged from what was judged late, by what the store says', async () => {
    const said = [true, false]
    const { answer } = ask({}, async () => rows(...said.map((blind, i) => row(i, i, { kind: 'of a later version', blind }))))
    const { gaps } = await answer
    assert.deepEqual(
      gaps.map(({ blind }) => blind),
      said,
    )
    assert.ok(gaps.every(({ unknown }) => !unknown))
  })

  it('says of what time it is not known, which is no gap and no watching', async () => {
    const { answer } = ask({}, async () => rows(row(0, 5_000, { kind: 'unknown', blind: false, sentence: 'not known' })))
    const { state, gaps } = await answer
    assert.equal(state, 'gaps')
    assert.deepEqual(gaps, [{ from: at, until: at + 5_000, blind: false, unknown: true, certain: false, sentence: 'not known' }])
  })

  const late = { kind: 'late', blind: false }
  const unknown = { kind: 'unknown', blind: false }
  const answers: readonly [answer: string, kinds: readonly object[]][] = [
    ['Yes, something was not seen', [late, unknown, { kind: 'dropped' }]],
    ['Not known for all of the time', [late, unknown]],
    ['Nothing went unseen, but not all of it was seen as it should have been', [late]],
    // However many are named.
    ['Nothing went unseen, but not all of it was seen as it should have been', Array.from({ length: 130 }, () => late)],
    ['Yes, something was not seen', [...Array.from({ length: 130 }, () => late), { kind: 'dropped' }]],
  ]
  for (const [answer, kinds] of answers) {
    it(`answers "${answer}" of ${kinds.length}`, async () => {
      const asked = ask({}, async () => rows(...kinds.map((kind, i) => row(i, i, kind))))
      assert.equal((await asked.answer).answer, answer)
    })
  }

  it('names a hundred, and counts the others', async () => {
    const { answer } = ask({}, async () => rows(...Array.from({ length: 130 }, (_, i) => row(i, i))))
    const { gaps, more } = await answer
    assert.deepEqual([gaps.length, more], [100, 30])
  })

  it('cannot be told when the store does not answer', async () => {
    const { answer } = ask({}, async () => {
      throw new CordonError('STORE_UNAVAILABLE', 'connect ECONNREFUSED')
    })
    const { state, answer: said, caveats } = await answer
    assert.deepEqual([state, said], ['unknown', 'Cannot tell: the store does not answer: connect ECONNREFUSED'])
    assert.deepEqual(caveats, ['the store does not answer: connect ECONNREFUSED'])
  })

  it('cannot be told from an answer that makes no sense', async () => {
    const { answer } = ask({}, async () => rows({ kind: 'dropped' }))
    assert.equal((await answer).state, 'unknown')
  })

  it('cannot be told when the store leaves the question open', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const { answer } = ask({}, () => new Promise(() => {}))
    t.mock.timers.tick(10_000)
    assert.deepEqual((await answer).caveats, ['the store does not answer: nothing within 10 s'])
  })

  it('is no promise while those who would see it are behind, or down', async () => {
    const detect: RoleStatus = { role: 'detect', ok: false, summary: 'no process of this role is running', detail: {} }
    const lag = { sink: 3, detect: 7_000, respond: 0 }
    const { answer } = ask({}, async () => rows(), { roles: [detect], lag, lagMs: { sink: 9_999, detect: 12_000, respond: 0 } })
    const { state, answer: said, caveats } = await answer
    assert.deepEqual([state, said], ['watched', 'Nothing unseen is known of'])
    assert.deepEqual(caveats, ['detect: no process of this role is running', 'the detectors are 7000 records (12 s) behind'])
  })
})
