import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { z } from 'zod'
import { defineDetector, type FindingDraft } from '../../detectors/contract.ts'
import { listed } from '../../detectors/registry.ts'
import { parsePlaybook } from '../../responders/playbooks/playbook.ts'
import { responders } from '../../responders/registry.ts'
import { observation } from '../contracts/observations.ts'
import type { Observed } from '../lab/victim.ts'
import { Arena } from './arena.ts'
import { callerOf } from './events.ts'

const { data } = observation('fingerprint', 0, 0)
const probabilities = Float32Array.of(0.07, 0.8123, 0.1177)
const seen: Observed = { fingerprint: { ...data, output: { ...data.output, label: 1 } }, probabilities }

interface Script {
  /** The query of a principal at which it is called an attacker; and the time after which a timer does it. */
  readonly at?: number
  readonly afterMs?: number
  readonly confidence?: number
}

/** States what its script says about each principal whose name begins with `bad`. */
function scripted({ at = 0, afterMs, confidence = 0.95 }: Script) {
  const state = z.object({ count: z.number(), opened: z.string(), principal: z.string() })
  const draft = (opened: string, principal: string): FindingDraft => ({
    opened,
    severity: 'high',
    confidence,
    title: 'scripted',
    principals: [principal],
    organizations: [],
    model: 'digits',
    workload: null,
    pool: null,
    window: { from: 0, until: 0 },
    eventsSeen: 1,
    evidence: {},
  })
  return listed(
    defineDetector({
      id: 'scripted',
      version: 1,
      summary: '',
      threats: [],
      observes: ['fingerprint'],
      params: z.object({}),
      state,
      maxKeys: 10,
      idleMs: 1e9,
      scope: (o) => (o.kind === 'fingerprint' && o.data.principal.startsWith('bad') ? o.data.principal : null),
      start: () => ({
        initial: () => ({ count: 0, opened: '', principal: '' }),
        onEvent(own, o) {
          if (o.kind !== 'fingerprint') return undefined
          own.count++
          if (own.opened === '') Object.assign(own, { opened: o.id, principal: o.data.principal })
          if (own.count === at) return { state: own, findings: [draft(o.id, o.data.principal)] }
          return own.count === 1 && afterMs !== undefined ? { state: own, wakeAt: o.time + afterMs } : undefined
        },
        onTimer: (own) => ({ state: own, findings: [draft(own.opened, own.principal)] }),
      }),
    }),
  )
}

function opened(
  script: Script,
  { delayMs = 5, activePrincipals = 1_000, steps = [{ responder: 'deny-principal', for: '10m' }] } = {},
): Arena {
  const rules = [{ id: 'any', when: { about: ['principal'], minConfidence: 0.5 }, steps }]
  const playbook = parsePlaybook({ id: 'test', version: 1, rules }, responders)
  return new Arena({ playbook, delayMs, activePrincipals, detectors: [{ definition: scripted(script), params: {} }], version: '1' })
}

/** So many requests of one principal, 10 ms apart: whether each was answered. */
async function asked(arena: Arena, principal: string, count: number): Promise<boolean[]> {
  const answered: boolean[] = []
  for (let i = 0; i < count; i++) {
    await arena.wait(10)
    answered.push(!(await arena.ask(callerOf(principal), () => seen)).answer.refused)
  }
  return answered
}

describe('the arena', () => {
  it('refuses the very next request of the principal that a finding named, and nobody else', async () => {
    const arena = opened({ at: 3 })
    assert.deepEqual(await asked(arena, 'bad', 5), [true, true, true, false, false])
    assert.deepEqual(await asked(arena, 'good', 3), [true, true, true])
    assert.equal(arena.standing('bad').answered, 3)
    assert.equal(arena.standing('good').findings, 0)
  })

  it('enforces no sooner than the delay says: at 100 ms, ten more requests 10 ms apart', async () => {
    const arena = opened({ at: 3 }, { delayMs: 100 })
    assert.equal((await asked(arena, 'bad', 20)).lastIndexOf(true), 2 + 9)
  })

  it('enforces nothing where the delay is without end', async () => {
    const arena = opened({ at: 3 }, { delayMs: Number.POSITIVE_INFINITY })
    assert.ok((await asked(arena, 'bad', 20)).every(Boolean))
    assert.equal(arena.standing('bad').findings, 1)
  })

  it('tells less where the playbook hardens, and counts those answers apart', async () => {
    const arena = opened({ at: 1 }, { steps: [{ responder: 'harden-output', for: '10m', with: { level: 'label-only' } }] as never })
    const first = await arena.ask(callerOf('bad'), () => seen)
    await arena.wait(10)
    const second = await arena.ask(callerOf('bad'), () => seen)
    assert.deepEqual(first.answer.refused ? [] : [...first.answer.probabilities], [...probabilities])
    assert.deepEqual(second.answer.refused ? [] : [...second.answer.probabilities], [0, 1, 0])
    assert.deepEqual(arena.standing('bad').degrees, { none: 1, rounded: 0, 'top-k': 0, 'label-only': 1 })
  })

  it('wakes detectors in virtual time, and contains for what they say then', async () => {
    const arena = opened({ afterMs: 60_000 })
    assert.deepEqual(await asked(arena, 'bad', 2), [true, true])
    await arena.wait(65_000)
    assert.equal(arena.standing('bad').findings, 1)
    assert.deepEqual(await asked(arena, 'bad', 1), [false])
    // Denied for ten minutes from when the timer fired, 60 s in: not from when the next request came.
    await arena.wait(594_000)
    assert.deepEqual(await asked(arena, 'bad', 2), [false, false])
    await arena.wait(1_000)
    assert.deepEqual(await asked(arena, 'bad', 1), [true])
  })

  it('lets in again when the lease has run out', async () => {
    const arena = opened({ at: 1 })
    assert.deepEqual(await asked(arena, 'bad', 2), [true, false])
    await arena.wait(600_000)
    assert.deepEqual(await asked(arena, 'bad', 1), [true])
  })

  it('keeps to the limits of the guard: beyond 32 principals, or a tenth of the active ones, a person decides', async () => {
    const arena = opened({ at: 1 }, { activePrincipals: 100 })
    let refused = 0
    for (let i = 0; i < 40; i++) if ((await asked(arena, `bad-${i}`, 2))[1] === false) refused++
    assert.equal(refused, 10 + 22)
    assert.equal(arena.waiting, 8)
  })
})
