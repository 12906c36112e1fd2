import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { PlannedAction } from '../../responders/contract.ts'
import type { ContainmentResponder } from '../../responders/responder.ts'
import { Action, leaseId, splitTarget } from '../../schemas/index.ts'
import { FakePorts, finding, hash, hour, incident, start } from '../responders/given.ts'

const live = new AbortController().signal

/** What every responder must keep. A new one inherits these by its line in the registry. */
export function responderContract(responder: ContainmentResponder): void {
  const { durationMs: _, ...settings } = responder.example.parameters

  const acted = (planned: PlannedAction): Action => ({
    id: hash(planned.target),
    incident: hash('incident'),
    responder: responder.id,
    effect: responder.effect,
    ...planned,
    owner: 'playbook:contract/rule',
    state: 'planned',
    plannedAt: start,
    note: '',
    decidedAt: start,
  })
  const cause = finding({ evidence: { profile: '0123456789abcdef', epoch: 1, middle: 'AAAA', radius: 1.5 } })
  const plan = () => responder.plan(incident(), responder.params.parse({ ...settings, durationMs: hour }), start, cause)
  const first = (): Action => {
    const [planned] = plan()
    assert.ok(planned, 'an incident that names everything gives it something to act on')
    return acted(planned)
  }

  describe(responder.id, () => {
    it('declares what it is, what it may and an example that is valid', () => {
      assert.match(responder.id, /^[a-z]+(-[a-z]+)*$/)
      assert.ok(responder.summary.length > 20 && responder.summary.endsWith('.'))
      assert.ok(responder.permissions.length > 0)
      for (const permission of responder.permissions) assert.match(permission, /^(leases|keys|models):[a-z]+$/)
      assert.ok(responder.targets.includes(splitTarget(responder.example.target).kind))
      assert.ok(responder.params.safeParse(responder.example.parameters).success)
    })

    it('plans the same actions for the same incident, and leaves the incident alone', () => {
      fc.assert(
        fc.property(
          fc.array(fc.stringMatching(/^[a-z0-9]{1,12}$/), { maxLength: 20 }),
          fc.integer({ min: 1, max: 86_400 }),
          (names, seconds) => {
            const subject = Object.freeze(incident({ principals: names, models: names, pools: names }))
            const before = structuredClone(subject)
            const params = responder.params.parse({ ...settings, durationMs: seconds * 1_000 })
            const once = responder.plan(subject, params, start, cause)
            assert.deepEqual(responder.plan(subject, params, start, cause), once)
            assert.deepEqual(subject, before)
            // A cluster is one place, whoever is around it.
            assert.equal(once.length, responder.targets.includes('cluster') ? 1 : names.length)
            for (const planned of once) assert.equal(planned.until, start + seconds * 1_000)
          },
        ),
        { numRuns: 50, seed: 1 },
      )
    })

    it('plans nothing for an incident that names nobody', () => {
      const nobody = incident({ principals: ['anonymous'], models: [], pools: [], workloads: [] })
      const params = responder.params.parse({ ...settings, durationMs: hour })
      assert.deepEqual(responder.plan(nobody, params, start, finding({ principals: [], model: null, evidence: cause.evidence })), [])
      assert.deepEqual(responder.plan(nobody, params, start, null), [])
    })

    it('plans actions and parameters that survive their schemas', () => {
      for (const planned of plan()) {
        assert.deepEqual(Action.parse(acted(planned)), acted(planned))
        const again = responder.params.parse({ ...planned.parameters, durationMs: hour })
        // What a plan leaves out has its default.
        assert.partialDeepStrictEqual(again, { ...planned.parameters, durationMs: hour })
        assert.ok(responder.targets.includes(splitTarget(planned.target).kind))
      }
    })

    it('has one effect however often it is executed', async () => {
      const ports = new FakePorts()
      const outcome = await responder.execute(first(), ports, live)
      const once = { revisions: ports.revisions.length, rotations: ports.rotations.length }
      assert.equal(outcome.ok, true)
      // Planned again a second later, as a redelivered finding does.
      ports.now += 1_000
      await responder.execute({ ...first(), until: first().until + 1_000 }, ports, live)
      assert.equal(once.revisions, 1)
      assert.deepEqual({ revisions: ports.revisions.length, rotations: ports.rotations.length }, once)
    })

    it('leaves no lease when it is reverted', async () => {
      const ports = new FakePorts()
      await responder.execute(first(), ports, live)
      const held = ports.book.get(leaseId(first().target, responder.id))
      assert.equal(held?.state, 'active')
      assert.ok(responder.revert)
      const outcome = await responder.revert({ ...first(), owner: 'person:ann' }, ports, live)
      assert.deepEqual(ports.book.holding(ports.now), [])
      assert.equal(ports.revisions.at(-1)?.endedBy, 'person:ann')
      // What cannot be undone says so.
      assert.equal(outcome.ok, !responder.once)
    })

    it('does nothing once it is aborted', async () => {
      const ports = new FakePorts()
      const gone = AbortSignal.abort(new Error('closing'))
      await assert.rejects(responder.execute(first(), ports, gone), /closing/)
      await assert.rejects(async () => responder.revert?.(first(), ports, gone), /closing/)
      assert.deepEqual([ports.revisions, ports.rotations], [[], []])
    })

    it('leaves equal settings as they are', () => {
      assert.deepEqual(responder.strongest(settings, settings), settings)
    })
  })
}
